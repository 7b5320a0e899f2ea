/** How stages are made: one machine, run as an async-iterable function or as a Node Transform. @module */
import { Transform } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { AbortOptions } from '@granary/core'

/** The work of a stage: items in, any number of items out, and what is left at the end. */
export interface Machine<Item, Result> {
  push(item: Item): Iterable<Result>
  finish(): Iterable<Result>
}

/** A stage as a function over streams. Reads one item ahead of nobody: back-pressure is the consumer's pace. */
export type Stage<Item, Result> = (
  source: AsyncIterable<Item> | Iterable<Item>,
) => AsyncGenerator<Result, void, undefined>

/**
 * Results between two turns of the event loop. Native compressors give buffers that are freed only there; a source that never
 * waits would otherwise keep all of them.
 */
const RESULTS_A_TURN = 32

/** A machine as an async-iterable stage. Each call makes a new machine. */
export const runAsStage = <Item, Result>(
  createMachine: () => Machine<Item, Result>,
  { signal }: AbortOptions = {},
): Stage<Item, Result> =>
  async function* (source) {
    signal?.throwIfAborted()
    const machine = createMachine()
    let results = 0
    for await (const item of source) {
      signal?.throwIfAborted()
      for (const result of machine.push(item)) {
        yield result
        signal?.throwIfAborted()
        if (++results % RESULTS_A_TURN === 0) await setImmediate()
      }
    }
    yield* machine.finish()
  }

/** Items that wait on each side of a Transform; each may be a whole chunk. */
const WAITING_ITEMS = 4

/** A machine as a Node Transform of objects. */
export const runAsTransform = <Item, Result>(
  machine: Machine<Item, Result>,
  { signal }: AbortOptions = {},
): Transform =>
  new Transform({
    objectMode: true,
    highWaterMark: WAITING_ITEMS,
    ...(signal === undefined ? {} : { signal }),
    transform(item: Item, _encoding, done) {
      pushAll(this, () => machine.push(item), done)
    },
    flush(done) {
      pushAll(this, () => machine.finish(), done)
    },
  })

const pushAll = (stream: Transform, results: () => Iterable<unknown>, done: (error?: Error) => void): void => {
  try {
    for (const result of results()) stream.push(result)
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}
