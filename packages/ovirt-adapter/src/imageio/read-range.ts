/** Reads a range into the memory of the caller, and goes on where it broke. CONTRACT §6.2 @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { GranaryError } from '@granary/core'
import { protocolError } from './image-errors.ts'
import type { ImageLink } from './image-link.ts'
import type { AnswerHead, BodySink } from './image-request.ts'

/** The size of an image, and leave to read it. @throws GranaryError as `ImageLink.once` */
export const readSize = async (link: ImageLink, { signal }: AbortOptions): Promise<number> => {
  let sizeBytes = 0
  const sink: BodySink = {
    start: head => {
      sizeBytes = rangeOf(head).sizeBytes
    },
    write: () => undefined,
  }
  const { timeoutMs } = { timeoutMs: link.settings.stallTimeoutMs }
  const request = { method: 'GET', what: 'asking for the size', headers: { range: 'bytes=0-0' }, timeoutMs } as const
  await link.persist(async () => await link.once({ ...request, sink, signal }), { signal })
  return sizeBytes
}

export interface ReadRangeOptions extends AbortOptions {
  readonly sizeBytes: number
}

/** Fills `target`. @throws GranaryError as `ImageLink.once` */
export const readRange = async (
  link: ImageLink,
  offset: number,
  target: Bytes,
  { sizeBytes, signal }: ReadRangeOptions,
): Promise<void> => {
  let done = 0
  let doneBefore = 0
  const hasMoved = (): boolean => {
    const moved = done > doneBefore
    doneBefore = done
    return moved
  }
  const attempt = async (): Promise<void> => {
    if (done === target.length) return // The last byte came, and then the connection broke.
    const [first, last] = [offset + done, offset + target.length - 1]
    await link.once({
      method: 'GET',
      what: `reading ${first}-${last}`,
      headers: { range: `bytes=${first}-${last}` },
      timeoutMs: link.settings.stallTimeoutMs,
      signal,
      sink: {
        start: head => checkRangeAnswer(head, { first, last, sizeBytes }),
        write: chunk => {
          if (chunk.length > target.length - done) throw protocolError(`more than the bytes ${first}-${last} came`, {})
          target.set(chunk, done)
          done += chunk.length
        },
      },
    })
    if (done < target.length) throw cutShort(first, offset + done, last)
  }
  await link.persist(attempt, { hasMoved, signal })
}

/** An answer that ends in good order, before its end. */
const cutShort = (first: number, found: number, last: number): GranaryError =>
  new GranaryError('GRANARY_IO', `imageio, reading ${first}-${last}: the answer ends at ${found}`, {
    detail: { first, last, found },
    retryable: true,
  })

const checkRangeAnswer = (
  head: AnswerHead,
  wanted: { readonly first: number; readonly last: number; readonly sizeBytes: number },
): void => {
  const found = rangeOf(head)
  const isRight =
    head.status === 206 &&
    found.first === wanted.first &&
    found.last === wanted.last &&
    found.sizeBytes === wanted.sizeBytes
  if (isRight) return
  const isOtherSize = found.sizeBytes !== wanted.sizeBytes && found.first === wanted.first
  const message = `bytes ${wanted.first}-${wanted.last}/${wanted.sizeBytes} asked for, ${found.first}-${found.last}/${found.sizeBytes} answered`
  if (!isOtherSize) throw protocolError(message, { status: head.status, ...found })
  throw new GranaryError('GRANARY_SIZE', `imageio: ${message}`, {
    detail: { ...found, wantedBytes: wanted.sizeBytes },
    hint: 'the disk was resized while it was read: run it again',
  })
}

const rangeOf = ({ status, headers }: AnswerHead): { first: number; last: number; sizeBytes: number } => {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(headers['content-range'] ?? ''))
  const [first, last, sizeBytes] = (match ?? []).slice(1).map(Number)
  if (status !== 206 || first === undefined || last === undefined || !Number.isSafeInteger(sizeBytes))
    throw protocolError('a range was asked for, and not answered', { status })
  return { first, last, sizeBytes: sizeBytes as number }
}
