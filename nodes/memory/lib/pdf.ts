/** The text of PDF files, found by a package that the user installs: in a thread of its own, whose time and memory have an end. */
import { Worker } from 'node:worker_threads'
import { EngineError } from '../../shared/errors'
import { optionalPath } from '../../shared/optional'

export interface PdfText {
  title: string | null
  /** The first page first. */
  pages: string[]
}

const LONGEST_MS = 120_000
const MEMORY_MB = 512

/** What the thread does: it has no file of its own, so that it runs the same beside sources and in the package. */
const READING = `
const { parentPort, workerData } = require('node:worker_threads')
const { extractText, getDocumentProxy, getMeta } = require(workerData.path)
async function read() {
  const document = await getDocumentProxy(workerData.bytes, { verbosity: 0 })
  const { info } = await getMeta(document)
  const { text: pages } = await extractText(document)
  return { title: typeof info?.Title === 'string' ? info.Title.trim() : '', pages }
}
read().then(
  (answer) => parentPort.postMessage(answer),
  (error) =>
    parentPort.postMessage({ problem: String(error?.message ?? error), isLocked: error?.name === 'PasswordException' }),
)
`

/** Whether these are the bytes of one. */
export function isPdf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(5, bytes.length)).toString('latin1') === '%PDF-'
}

export async function pdfText(given: Uint8Array, ms = LONGEST_MS): Promise<PdfText> {
  const path = optionalPath('unpdf', 'PDF documents')
  const bytes = Uint8Array.from(given)
  const worker = new Worker(READING, {
    eval: true,
    execArgv: [],
    workerData: { path, bytes },
    transferList: [bytes.buffer],
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
  })
  let timer: NodeJS.Timeout | undefined
  try {
    const { title, pages } = await new Promise<PdfText>((resolve, reject) => {
      const unreadable = (problem: string) =>
        reject(new EngineError('INVALID_INPUT', `the PDF cannot be read: ${problem}; give the text in it`))
      worker.on('message', (answer) => {
        if (!('problem' in answer)) resolve(answer)
        else if (!answer.isLocked) unreadable(answer.problem)
        else reject(new EngineError('UNAUTHORIZED', 'the PDF has a password; give it without one, or the text in it'))
      })
      worker.on('error', ({ message }) => unreadable(message))
      const late = () => reject(new EngineError('TIMEOUT', `the PDF is not read within ${ms} ms; give the text in it`))
      timer = setTimeout(late, ms)
    })
    if (pages.some((page) => page.trim() !== '')) return { title: title || null, pages }
    const why = 'its pages are pictures, it seems; give the text that a recognition of characters finds'
    throw new EngineError('INVALID_INPUT', `there is no text in the PDF: ${why}`)
  } finally {
    clearTimeout(timer)
    await worker.terminate()
  }
}
