/** Sends the pieces of open packs to the storage, and tells the session when a pack is whole. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import { ID_BYTES, packKey } from '../format/ids.ts'
import type { PackName } from '../format/ids.ts'
import type { PackType } from '../packs/pack-format.ts'
import type { WriterSession } from '../sessions/writer-session.ts'
import { openPackStream } from './pack-stream.ts'
import type { PackStream } from './pack-stream.ts'
import type { PackPiece } from './window-job.ts'

export interface PackSink {
  /** Takes the next piece of a lane's open pack. */
  emit(lane: number, piece: PackPiece): Promise<void>
  /** Gives up the open packs: nothing of them stays. */
  abandon(reason: unknown): Promise<void>
}

export const createPackSink = (session: WriterSession, type: PackType, options: AbortOptions = {}): PackSink => {
  const open = new Map<number, { name: PackName; stream: PackStream }>()
  let givenUp: { readonly reason: unknown } | undefined
  return {
    async emit(lane, { number, bytes, end }) {
      if (givenUp !== undefined) throw givenUp.reason // A piece that comes late must not open a pack that nobody ends.
      let pack = open.get(lane)
      if (pack === undefined) {
        const name = { sid: session.sid, number }
        pack = { name, stream: openPackStream(session.context.backend, packKey(name), session.sid, options) }
        open.set(lane, pack)
      }
      await pack.stream.write(bytes)
      if (end === undefined) return
      await pack.stream.end()
      open.delete(lane)
      await session.packStored(pack.name, type, end.uid, splitIds(end.ids), options)
    },
    async abandon(reason) {
      givenUp = { reason }
      await Promise.all([...open.values()].map(async ({ stream }) => await stream.abandon(reason)))
      open.clear()
    },
  }
}

const splitIds = (ids: Bytes): Bytes[] =>
  Array.from({ length: ids.length / ID_BYTES }, (_, i) => ids.slice(i * ID_BYTES, (i + 1) * ID_BYTES))
