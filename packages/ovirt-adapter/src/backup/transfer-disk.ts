/**
 * A disk of the engine's backup as a `DiskReader` that outlives its transfer: when a ticket has expired, a host's imageio was
 * restarted or the engine broke the transfer off, and the backup is still `ready`, it goes on through a new one.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes, DiskReader, Extent, ExtentOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'

/** An open transfer and its image. */
export interface Passage {
  readonly image: DiskReader
  /** Closes the connections and ends the transfer; calling it again does nothing. */
  readonly close: () => Promise<void>
}

export interface TransferDiskOptions {
  readonly sizeBytes: number
  readonly clock: Clock
  readonly open: (options: AbortOptions) => Promise<Passage>
  /** @throws when reading can't go on, such as a backup that is no longer `ready` */
  readonly checkAlive: (options: AbortOptions) => Promise<void>
}

/** Passages in a row through which not a byte came. */
const MOST_FAILURES = 5
const FIRST_WAIT_MS = 2000

export class TransferDisk implements DiskReader {
  readonly sizeBytes: number
  readonly blockBytes: number
  readonly #options: TransferDiskOptions
  #passage: Passage
  #reopening: Promise<void> | undefined
  #failures = 0
  #isClosed = false

  private constructor(options: TransferDiskOptions, passage: Passage) {
    this.#options = options
    this.#passage = passage
    this.sizeBytes = options.sizeBytes
    this.blockBytes = passage.image.blockBytes
  }

  /** @throws GranaryError `GRANARY_SIZE` when the image has another size than the engine says; what opening fails with for good */
  static async open(options: TransferDiskOptions, abort: AbortOptions = {}): Promise<TransferDisk> {
    const passage = await openPassage(options, { ...abort, failures: 0 })
    return new TransferDisk(options, passage)
  }

  async read(offset: number, target: Bytes, options: AbortOptions = {}): Promise<void> {
    for (;;) {
      const passage = this.#passage
      try {
        await passage.image.read(offset, target, options)
        this.#failures = 0
        return
      } catch (error) {
        await this.#pass(passage, error, options)
      }
    }
  }

  async *extents(options: ExtentOptions = {}): AsyncGenerator<Extent, void, undefined> {
    const { offset = 0, length = this.sizeBytes - offset, signal } = options
    let at = offset
    while (at < offset + length) {
      const passage = this.#passage
      try {
        for await (const extent of passage.image.extents({ offset: at, length: offset + length - at, signal })) {
          yield extent
          at = extent.offset + extent.length
          this.#failures = 0
        }
        return
      } catch (error) {
        await this.#pass(passage, error, { signal })
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#reopening?.catch(() => undefined)
    await this.#passage.close()
  }

  /** Replaces a passage that failed, once for all who met the failure. */
  async #pass(failed: Passage, error: unknown, options: AbortOptions): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#isClosed || !mayPass(error)) throw error
    if (this.#passage === failed) {
      this.#reopening ??= this.#reopen(error, options).finally(() => (this.#reopening = undefined))
    }
    await this.#reopening
  }

  async #reopen(error: unknown, options: AbortOptions): Promise<void> {
    if (++this.#failures > MOST_FAILURES) throw error
    await this.#passage.close()
    await this.#options.checkAlive(options)
    this.#passage = await openPassage(this.#options, { ...options, failures: this.#failures - 1 })
  }
}

/** A ticket may die before its first use, too. */
const openPassage = async (
  options: TransferDiskOptions,
  { failures, signal }: AbortOptions & { failures: number },
): Promise<Passage> => {
  const { clock, open, checkAlive } = options
  for (let failed = failures; ;) {
    if (failed > 0) await clock.sleep(FIRST_WAIT_MS * 2 ** failed, signal)
    try {
      return await checkSize(await open({ signal }), options)
    } catch (error) {
      signal?.throwIfAborted()
      if (!mayPass(error) || ++failed > MOST_FAILURES) throw error
      await checkAlive({ signal })
    }
  }
}

const checkSize = async (passage: Passage, { sizeBytes }: TransferDiskOptions): Promise<Passage> => {
  const found = passage.image.sizeBytes
  if (found === sizeBytes) return passage
  await passage.close()
  throw new GranaryError('GRANARY_SIZE', `the engine says ${sizeBytes} bytes, the image has ${found}`, {
    detail: { expected: sizeBytes, found },
  })
}

/** The same through any transfer: mistakes of ours, what the image can't do, a certificate that isn't trusted. */
const FINAL = ['GRANARY_INVALID_ARGUMENT', 'GRANARY_UNSUPPORTED', 'GRANARY_SIZE', 'GRANARY_AUTHENTICATION']

/** What the engine refuses, it was asked long enough. */
const mayPass = (error: unknown): boolean =>
  isGranaryError(error) && !FINAL.includes(error.code) && error.detail['path'] === undefined
