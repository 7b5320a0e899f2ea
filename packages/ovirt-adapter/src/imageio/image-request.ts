/** One request to imageio: its answer goes where it belongs as it comes, and is never longer than was agreed. @module */
import type { Dispatcher } from 'undici'
import type { AbortOptions, Bytes } from '@granary/core'
import { answerError, protocolError, transportError } from './image-errors.ts'

/** Most bytes of an answer that is an error or a small document. */
const MAX_TEXT_BYTES = 64 * 1024

/** Takes the body of an answer. */
export interface BodySink {
  /** Looks at the header first. @throws GranaryError when this is not what was asked for */
  start?(answer: AnswerHead): void
  write(chunk: Bytes): void
}

export interface AnswerHead {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface ImageRequest extends AbortOptions {
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'OPTIONS'
  /** Path and query. */
  readonly path: string
  /** For errors: the path without the ticket's id, which is as good as a password. */
  readonly what: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Bytes | string
  /** Milliseconds without a byte. */
  readonly timeoutMs: number
  /** Takes the body of a good answer. @default it is kept as text */
  readonly sink?: BodySink
}

export interface ImageAnswer extends AnswerHead {
  readonly text: string
}

/**
 * Sends a request and reads its answer to the end.
 *
 * @throws GranaryError as `answerError` and `transportError`; the signal's reason
 */
export const sendRequest = async (dispatcher: Dispatcher, request: ImageRequest): Promise<ImageAnswer> => {
  request.signal?.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const exchange = new RequestExchange(request, resolve, reject)
    const { method, path, headers = {}, body, timeoutMs } = request
    dispatcher.dispatch(
      {
        method,
        path,
        headers,
        body: body ?? null,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        // Ranges are long: none may queue behind another on one connection.
        blocking: true,
        idempotent: true,
      },
      exchange,
    )
  })
}

class RequestExchange implements Dispatcher.DispatchHandler {
  readonly #request: ImageRequest
  readonly #resolve: (answer: ImageAnswer) => void
  readonly #reject: (error: unknown) => void
  #controller: Dispatcher.DispatchController | undefined
  #head: AnswerHead = { status: 0, headers: {} }
  #sink: BodySink
  readonly #text = textSink()
  /** Why we gave up, when it was us. */
  #ours: unknown
  readonly #onAbort = (): void => this.#abort(this.#request.signal?.reason)

  constructor(request: ImageRequest, resolve: (answer: ImageAnswer) => void, reject: (error: unknown) => void) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
    this.#sink = request.sink ?? this.#text
    request.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#ours !== undefined) controller.abort(this.#ours as Error)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHead['headers']): void {
    if (status < 200) return
    this.#head = { status, headers }
    if (status >= 300) this.#sink = this.#text
    else this.#guard(() => this.#sink.start?.(this.#head))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#guard(() => this.#sink.write(chunk))
  }

  onResponseEnd(): void {
    this.#done()
    if (this.#ours !== undefined) return this.#reject(this.#ours)
    const answer = { ...this.#head, text: this.#text.text() }
    if (answer.status < 300) this.#resolve(answer)
    else this.#reject(answerError(answer, this.#request.what))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#done()
    this.#reject(this.#ours ?? transportError(error, this.#request))
  }

  #guard(work: () => void): void {
    if (this.#ours !== undefined) return
    try {
      work()
    } catch (error) {
      this.#abort(error)
    }
  }

  /** Before the request was begun there is nothing to abort yet: it waits for a connection. */
  #abort(error: unknown): void {
    this.#ours ??= error
    this.#controller?.abort(error as Error)
    if (this.#controller !== undefined) return
    this.#done()
    this.#reject(error)
  }

  #done(): void {
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** Keeps a small body. */
const textSink = (): BodySink & { text(): string } => {
  const chunks: Bytes[] = []
  let length = 0
  return {
    write(chunk) {
      length += chunk.length
      if (length > MAX_TEXT_BYTES) throw protocolError(`an answer of more than ${MAX_TEXT_BYTES} bytes`, {})
      chunks.push(Uint8Array.from(chunk))
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}
