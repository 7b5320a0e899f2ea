/** Stores map nodes in map packs, each once. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { createCompressor, createKeyedHasher } from '@granary/transform'
import { createPackSink } from '../writer/pack-sink.ts'
import { PackOutput } from '../writer/pack-output.ts'
import type { PackNumbers } from '../writer/pack-output.ts'
import type { WriterSession } from '../sessions/writer-session.ts'

/** A map node is at most a leaf of 8192 chunks: 300 KiB. */
const BUFFER_BYTES = 1024 * 1024

export interface NodeStore {
  /**
   * Stores a node unless it is stored, and gives back its id. Calls are taken one after the other.
   *
   * @param onStored told the bytes that a new node takes in its pack
   */
  store(plain: Bytes, onStored?: (bytes: number) => void): Promise<Bytes>
  /** Ends the open pack. */
  finish(): Promise<void>
  abandon(reason: unknown): Promise<void>
}

/** @param numbers of the packs it makes */
export const createNodeStore = (
  session: WriterSession,
  { numbers, ...options }: AbortOptions & { readonly numbers: PackNumbers },
): NodeStore => {
  const sink = createPackSink(session, 'mapPack', options)
  const hasher = createKeyedHasher(session.context.keys.mapId)
  const compressor = createCompressor({ name: 'zstd', level: 3 })
  const buffers = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)] as const
  const output = new PackOutput({ seal: session.sealOf('mapPack'), numbers }, buffers, piece => sink.emit(0, piece))
  let last: Promise<unknown> = Promise.resolve()
  const add = async (plain: Bytes, onStored?: (bytes: number) => void): Promise<Bytes> => {
    const id = hasher.digest(plain)
    if ((await session.claim(id, 'mapPack', options)) === 'unknown') {
      const packed = compressor.compress(plain)
      onStored?.(await output.add({ id, bytes: packed.bytes, plainLength: plain.length, compression: packed.id }))
    }
    return id
  }
  return {
    async store(plain, onStored) {
      const turn = last.then(async () => await add(plain, onStored))
      last = turn.catch(() => undefined)
      return await turn
    },
    async finish() {
      await last
      await output.finish()
    },
    abandon: async reason => await sink.abandon(reason),
  }
}
