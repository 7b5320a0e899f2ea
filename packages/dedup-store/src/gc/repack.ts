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
import type { CachedPack } from '../packs/pack-cache.ts'
import type { PackType } from '../packs/pack-format.ts'
import { readFromAny } from './damaged-packs.ts'
import type { BlobPlaces } from './damaged-packs.ts'
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
  const places = { backend: context.backend, keys: context.keys, index: plan.index }
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
          (await staysElsewhere(plan, { places, doomed }, { key, id: entry.id, type: pack.type }, { signal }))
        )
          continue
        const plain =
          (await readFromAny(places, entry.id, pack.type, { signal })) ??
          (await plan.blobs.read(entry.id, pack.type, { signal })) // It can't be read: this says what is wrong.
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

/**
 * Whether a blob is in a pack that stays and is believed, and may go with this one. Where this one was found damaged, others of
 * that storage may be, too: then only a place counts where the blob was just read.
 */
const staysElsewhere = async (
  { damaged, index }: CollectionPlan,
  { places, doomed }: { readonly places: BlobPlaces; readonly doomed: ReadonlySet<string> },
  { key, id, type }: { readonly key: string; readonly id: Uint8Array; readonly type: PackType },
  options: AbortOptions,
): Promise<boolean> => {
  const accepts = (pack: CachedPack): boolean => !doomed.has(pack.key) && index.isTrusted(pack)
  if (damaged.has(key)) return (await readFromAny(places, id, type, { accepts, ...options })) !== undefined
  for await (const { pack } of index.findAll(id, type, options)) if (accepts(pack)) return true
  return false
}
