/**
 * A PDF as programs write it, of lines by page; made here, so that no file of anybody is needed. One that is locked asks for a
 * password, and there is none that fits.
 */
export function pdf(pages: string[][], title?: string, isLocked = false): Buffer {
  const text = (lines: string[]) => lines.map((line) => `(${line.replace(/[()\\]/g, '\\$&')}) Tj T*`).join(' ')
  const stream = (content: string) => `<< /Length ${content.length} >>\nstream\n${content}\nendstream`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Kids [${pages.map((_, page) => `${5 + 2 * page} 0 R`).join(' ')}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    title === undefined ? '<< >>' : `<< /Title (${title}) >>`,
    ...pages.flatMap((lines, page) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> >> /Contents ${6 + 2 * page} 0 R >>`,
      stream(`BT /F 12 Tf 14 TL 72 770 Td ${text(lines)} ET`),
    ]),
  ]
  let file = '%PDF-1.4\n'
  const places = objects.map((object, number) => {
    const place = file.length
    file += `${number + 1} 0 obj\n${object}\nendobj\n`
    return `${String(place).padStart(10, '0')} 00000 n \n`
  })
  const size = objects.length + 1
  const [key, id] = ['5a'.repeat(32), '<00>']
  const lock = isLocked
    ? `/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <${key}> /U <${key}> >> /ID [${id} ${id}]`
    : ''
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${places.join('')}`
  return Buffer.from(
    `${file}${table}trailer\n<< /Size ${size} /Root 1 0 R /Info 4 0 R ${lock} >>\nstartxref\n${file.length}\n%%EOF\n`,
    'latin1',
  )
}
