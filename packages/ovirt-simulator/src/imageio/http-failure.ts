/** An answer that is an error: CONTRACT §6.7. @module */

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  416: 'Requested Range Not Satisfiable',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** The reason phrase of an error's status. */
export const reasonOf = (status: number): string => REASONS[status] ?? 'Error'

export class HttpFailure extends Error {
  readonly status: number
  /** Header `content-range` of the answer. */
  readonly contentRange: string | undefined
  /** The connection is closed after the answer, whatever was read. */
  readonly isClosing: boolean

  constructor(status: number, message: string, options: { contentRange?: string; isClosing?: boolean } = {}) {
    super(message)
    this.status = status
    this.contentRange = options.contentRange
    this.isClosing = options.isClosing ?? false
  }
}

/** Nobody may do this with that ticket: the connection ends. */
export const forbidden = (reason: string): HttpFailure =>
  new HttpFailure(403, `You are not allowed to access this resource: ${reason}`, { isClosing: true })
