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

/** An operation that was refused or failed; several messages are rendered as a Java list. */
export const operationFailed = (status: number, ...messages: readonly string[]): ApiError =>
  new ApiError(status, 'Operation Failed', `[${messages.join(', ')}]`)

/** An id that does not exist: 404 without a body. */
export const notFound = (): ApiError => new ApiError(404, 'Not Found', undefined)

/** A mandatory attribute that is missing. */
export const incomplete = (what: string): ApiError => new ApiError(400, 'Incomplete parameters', what)

/** A body that does not fit the type: it is answered with a usage_message, not a fault. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
