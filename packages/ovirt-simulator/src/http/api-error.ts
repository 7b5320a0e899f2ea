/** What the engine says instead of an answer (CONTRACT §0.2). Inside the simulator it is thrown. @module */

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly reason: string
  /** `undefined`: no body at all. */
  readonly detail: string | undefined

  constructor(status: number, reason: string, detail: string | undefined) {
    super(detail ?? reason)
    this.status = status
    this.reason = reason
    this.detail = detail
  }
}

const OPERATION_FAILED = 'Operation Failed'

/** An operation that was refused or failed; several messages are rendered as a Java list. */
export const operationFailed = (status: number, ...messages: readonly string[]): ApiError =>
  new ApiError(status, OPERATION_FAILED, `[${messages.join(', ')}]`)

/** The status that several messages get together: the first of these that one of them has (CONTRACT §0.2). */
const PRECEDENCE = [400, 409, 500, 403]

/** Makes all the checks, and refuses with the messages of all that fail: they come in one fault. */
export const requireAll = (...checks: readonly (() => void)[]): void => {
  const refusals = checks.flatMap(check => refusalOf(check) ?? [])
  const status = PRECEDENCE.find(one => refusals.some(refusal => refusal.status === one))
  if (status !== undefined) throw operationFailed(status, ...refusals.map(({ detail = '' }) => detail.slice(1, -1)))
}

const refusalOf = (check: () => void): ApiError | undefined => {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof ApiError && error.reason === OPERATION_FAILED) return error
    throw error
  }
}

/** An id that does not exist: 404 without a body. */
export const notFound = (): ApiError => new ApiError(404, 'Not Found', undefined)

/** A mandatory attribute that is missing. */
export const incomplete = (what: string): ApiError => new ApiError(400, 'Incomplete parameters', what)

/** A body that does not fit the type: it is answered with a usage_message, not a fault. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
