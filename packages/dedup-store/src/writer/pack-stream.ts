/** A pack on its way to the storage: pieces go in as they are sealed, and are handed on with back-pressure. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { Backend } from '../backends/backend.ts'

export interface PackStream {
  /** Resolves when the storage has taken the bytes; they may be reused then. */
  write(bytes: Bytes): Promise<void>
  /** Resolves when the pack is stored whole (durable after the next barrier). */
  end(): Promise<void>
  /** Gives the pack up: nothing of it stays. */
  abandon(reason: unknown): Promise<void>
}

interface Turn {
  readonly bytes: Bytes | undefined
  readonly taken: () => void
}

export const openPackStream = (
  backend: Backend,
  key: string,
  owner: string,
  { signal }: AbortOptions = {},
): PackStream => {
  let next = deferred<Turn>()
  let givenUp: { readonly reason: unknown } | undefined
  async function* pieces(): AsyncGenerator<Bytes, void, undefined> {
    for (;;) {
      if (givenUp !== undefined) throw givenUp.reason
      const turn = await next.promise
      next = deferred<Turn>()
      if (turn.bytes === undefined) return
      yield turn.bytes
      turn.taken() // The storage came back for more: it is done with this piece.
    }
  }
  const stored = backend.put(key, pieces(), { owner, durable: false, signal })
  stored.catch(() => undefined) // Reported by whoever writes or ends.

  const hand = async (bytes: Bytes | undefined): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      stored.then(() => resolve(), reject) // A failed put ends every waiting write.
      next.resolve({ bytes, taken: resolve })
    })
  }
  return {
    write: async bytes => await hand(bytes),
    async end() {
      next.resolve({ bytes: undefined, taken: () => undefined })
      await stored
    },
    async abandon(reason) {
      givenUp = { reason } // Also when a piece is on its way, whose turn can't be taken back.
      next.reject(reason)
      await stored.catch(() => undefined)
    },
  }
}

interface Deferred<Value> {
  readonly promise: Promise<Value>
  readonly resolve: (value: Value) => void
  readonly reject: (reason: unknown) => void
}

const deferred = <Value>(): Deferred<Value> => {
  let resolve!: (value: Value) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<Value>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}
