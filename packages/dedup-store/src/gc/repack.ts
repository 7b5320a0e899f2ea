/** Copies live blobs out of half-dead packs: an ordinary writer session that commits no snapshot. @module */
import { hostname } from 'node:os'
import type { AbortOptions } from '@granary/core'
import { createCompressor, parseCompression } from '@granary/transform'
import { createNonce } from '../sessions/decisions.ts'
import { WriterSession } from '../sessions/writer-session.ts'
import type { Repository } from '../repository.ts'
import { PackOutput } from '../writer/pack-output.ts'
import { createPackSink } from '../writer/pack-sink.ts'
import { MAX_BLOB_BYTES } from '../packs/pack-format.ts'
import type { PackType } from '../packs/pack-format.ts'
import type { CollectionPlan } from './plan.ts'

/** Room for the largest chunk, sealed. */
const BUFFER_BYTES = 5 * 1024 * 1024

/**
 * Copies what is live in `plan.halfDead` and nowhere else that stays.
 *
 * @returns plain bytes copied
 */
export const repack = async (
  repository: Repository,
  plan: CollectionPlan,
  { signal }: AbortOptions = {},
): Promise<number> => {
  if (plan.halfDead.length === 0) return 0
  const { context, settings } = repository
  const doomed = new Set([...plan.dead, ...plan.halfDead].map(pack => pack.key))
  const compressor = createCompressor(parseCompression(settings.compression), { maxBlockBytes: MAX_BLOB_BYTES })
  await using session = await WriterSession.begin(context, { signal })
  const types = ['dataPack', 'mapPack'] as const
  const lanes = types.map((type, first) => {
    const sink = createPackSink(session, type, { signal })
    const buffers = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)] as const
    return {
      type,
      sink,
      output: new PackOutput({ seal: session.sealOf(type), numbers: { first, step: types.length } }, buffers, piece =>
        sink.emit(0, piece),
      ),
    }
  })
  const outputOf = (type: PackType): PackOutput => (lanes.find(lane => lane.type === type) as (typeof lanes)[0]).output
  let copiedBytes = 0
  const copied = new Set<string>()
  try {
    for (const { key } of plan.halfDead) {
      const pack = await plan.index.packs.get(key, { signal })
      if (pack === undefined) continue
      for (const [ordinal, entry] of pack.entries.entries()) {
        const name = `${pack.type} ${Buffer.from(entry.id).toString('latin1')}`
        if (
          !plan.live.isLive(key, ordinal) ||
          copied.has(name) ||
          (await hasPlaceElsewhere(plan, doomed, entry.id, pack.type))
        )
          continue
        const plain = await plan.blobs.read(entry.id, pack.type, { signal })
        const packed = compressor.compress(plain)
        await outputOf(pack.type).add({
          id: entry.id,
          bytes: packed.bytes,
          plainLength: plain.length,
          compression: packed.id,
        })
        copied.add(name)
        copiedBytes += plain.length
      }
    }
    for (const { output } of lanes) await output.finish()
    await session.commit(
      { kind: 'maintenance', nonce: createNonce(), timeMs: context.clock.now(), host: hostname() },
      { signal },
    )
    return copiedBytes
  } catch (error) {
    await Promise.all(lanes.map(async ({ sink }) => await sink.abandon(error)))
    throw error
  }
}

const hasPlaceElsewhere = async (
  plan: CollectionPlan,
  doomed: ReadonlySet<string>,
  id: Uint8Array,
  type: PackType,
): Promise<boolean> => {
  for await (const { pack } of plan.index.findAll(id, type)) if (!doomed.has(pack.key)) return true
  return false
}
