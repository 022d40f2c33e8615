/**
 * What fits a pattern: `*` stands for any text, and `single`, where it is given, for any one character. It takes no
 * more time than the product of both lengths, whatever they are; a regular expression would hang on some.
 */
export function fits(pattern: string, single = ''): (name: string) => boolean {
  const wanted = [...pattern]
  return (name) => {
    const given = [...name]
    let [at, place] = [0, 0]
    /** Behind the last star, and where what it stands for ends so far. */
    let [star, taken] = [-1, 0]
    while (at < given.length) {
      const sign = wanted[place]
      if (sign === '*') {
        star = place + 1
        taken = at
        place = star
      } else if (sign !== undefined && (sign === given[at] || sign === single)) {
        place += 1
        at += 1
      } else if (star >= 0) {
        taken += 1
        at = taken
        place = star
      } else return false
    }
    return wanted.slice(place).every((sign) => sign === '*')
  }
}
