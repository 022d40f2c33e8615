import type { ErrorCode } from '#native'

export type { ErrorCode }

/**
 * Whether the same call may succeed later without a change. Here and not in Rust, because it must be
 * known where the binary is missing, too. A code without a line does not compile.
 */
const RETRYABLE: Record<ErrorCode, boolean> = {
  INVALID_OPTION: false,
  INVALID_INPUT: false,
  INVALID_TIMESTAMP: false,
  UNKNOWN_TOPIC: false,
  LATE: false,
  OUT_OF_ORDER: false,
  BUFFER_FULL: true,
  CLOCK_JUMP: false,
  UNAUTHORIZED: false,
  UNKNOWN_TYPE: false,
  TRANSPORT: true,
  TIMEOUT: true,
  REFUSED: false,
  CIRCUIT_OPEN: true,
  UNAVAILABLE: false,
  PACKAGE_MISSING: false,
  SCRIPT_FAILED: false,
  SCRIPT_ENDED: false,
  STORE_LOCKED: true,
  STORE_CORRUPT: false,
  STORE_FAILED: false,
  DISK_FULL: true,
  TOO_LARGE: false,
  NOT_FOUND: false,
  KEY_NOT_FOUND: false,
  CONFLICT: false,
  INVALID_WORKFLOW: false,
  REVOKED: false,
  EXPIRED: false,
  WORKER_LOST: true,
  TASK_FAILED: false,
  CONVERSION: false,
  CLOSED: false,
  NATIVE_MISSING: false,
  INTERNAL: false,
}

/** napi-rs's own codes for arguments of the wrong kind. */
const WRONG_ARGUMENT = /^(InvalidArg|.+Expected)$/

/** Every failure of the collection: a `code` for programs, a message for people. */
export class EngineError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'EngineError'
    this.code = code
    this.retryable = RETRYABLE[code]
  }
}

/** Anything thrown, as an `EngineError`. What has no known code is a bug: `INTERNAL`. */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const { code, message } =
    error instanceof Error ? (error as Error & { code?: unknown }) : { code: '', message: String(error) }
  if (typeof code === 'string' && Object.hasOwn(RETRYABLE, code)) {
    return new EngineError(code as ErrorCode, message, { cause: error })
  }
  if (typeof code === 'string' && WRONG_ARGUMENT.test(code)) {
    return new EngineError('INVALID_INPUT', message, { cause: error })
  }
  return new EngineError('INTERNAL', `${message}; this is a bug, please report it with the log`, { cause: error })
}

/** All codes, for tests and documentation. */
export const errorCodes = Object.keys(RETRYABLE) as ErrorCode[]

/** A value as it appears in messages: short, quoted where it is text. */
export function quote(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}n` : typeof value === 'function' ? 'a function' : stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function stringify(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  // JSON has no NaN.
  if (typeof value === 'number') return String(value)
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}
