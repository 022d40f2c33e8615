/** Of a list, so many items stand for the others, evenly spread: no list holds the JavaScript thread. */
const ROWS_LOOKED_AT = 256
const ITEMS_LOOKED_AT = 16
/** Nothing is followed for ever. */
const DEPTH_MAX = 8
/** What is no text and no bytes; an object takes so much itself. */
const SCALAR = 8

/** About so many bytes. */
export function sizeOfRows(rows: readonly unknown[]): number {
  return sizeOfList(rows, ROWS_LOOKED_AT, 0)
}

function sizeOfList(items: readonly unknown[], most: number, depth: number): number {
  const step = Math.max(1, items.length / most)
  let size = 0
  let looked = 0
  for (let place = 0; place < items.length; place += step) {
    size += sizeOf(items[Math.floor(place)], depth)
    looked += 1
  }
  return looked === 0 ? 0 : Math.round((size * items.length) / looked)
}

function sizeOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length
  if (value === null || typeof value !== 'object' || depth > DEPTH_MAX) return SCALAR
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (Array.isArray(value)) return sizeOfList(value, ITEMS_LOOKED_AT, depth + 1)
  let size = SCALAR
  for (const name in value) size += sizeOf((value as Record<string, unknown>)[name], depth + 1)
  return size
}
