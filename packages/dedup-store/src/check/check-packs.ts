/** Opens every pack, and reads the data of as many as asked. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import { keyOfId, packOfKey } from '../format/ids.ts'
import { readGcState } from '../gc/gc-state.ts'
import { createBlobVerifier, openBlob, openPack } from '../packs/pack-reader.ts'
import type { OpenPack } from '../packs/open-pack.ts'
import type { PackEntry } from '../packs/pack-format.ts'
import type { Repository } from '../repository.ts'
import { readDamagedPacks } from '../sessions/damaged-packs.ts'
import { readPackTrust } from '../sessions/pack-trust.ts'
import type { CheckOptions, DamageList } from './check.ts'

export interface CheckedPacks {
  /** All packs that should be there. */
  readonly keys: readonly string[]
  readonly readBytes: number
  /** Packs of write-only clients that nobody relies on yet, and those of them that were read now and found right. */
  readonly unverified: readonly string[]
  readonly passed: readonly { readonly key: string; readonly digest: string }[]
  /** Packs with a damaged blob that nobody knew of, and those known as damaged that were read now and are sound: replaced by a copy. */
  readonly damaged: readonly string[]
  readonly healed: readonly string[]
  /** How many are known to be damaged, these included. */
  readonly damagedCount: number
  /** True when the blob at this place was read and is damaged, or its pack can't be opened. */
  isBad(key: string, id: Uint8Array): boolean
}

/** Bytes read at a time; a single blob may be longer. */
const READ_BYTES = 4 * 1024 * 1024

export const checkPacks = async (
  repository: Repository,
  list: DamageList,
  options: CheckOptions,
): Promise<CheckedPacks> => {
  const { context } = repository
  const { signal, readData = 0, onProgress } = options
  const { deleted } = await readGcState(context, { signal }).catch(() => ({ deleted: new Set<string>() }))
  const all: { key: string; sizeBytes: number }[] = []
  for await (const info of context.backend.list('packs/', { signal })) {
    if (packOfKey(info.key) !== undefined && !deleted.has(info.key)) all.push(info)
  }
  const known = await readDamagedPacks(context, { signal })
  const chosen = chooseShare(all, readData, options.seed ?? Math.floor(Math.random() * 2 ** 32))
  if (readData > 0) for (const { key } of all) if (known.has(key)) chosen.add(key)
  const totalBytes = all.reduce((sum, pack) => sum + (chosen.has(pack.key) ? pack.sizeBytes : 0), 0)
  const badPacks = new Set<string>()
  const badBlobs = new Set<string>()
  const unverified: string[] = []
  const passed: { key: string; digest: string }[] = []
  const damaged: string[] = []
  const healed: string[] = []
  const isTrusted = await readPackTrust(context, { signal })
  let readBytes = 0
  for (const { key, sizeBytes } of all) {
    signal?.throwIfAborted()
    const isOpen = await list.guard(key, async () => {
      const pack = await openPack(context.backend, context.keys, key, { sizeBytes, signal })
      if (pack.isSigned && pack.signer === undefined) throw wrongSignature(key)
      const isUnverified = !isTrusted(pack) && !known.has(key)
      if (isUnverified) unverified.push(key)
      if (!chosen.has(key)) return
      const bad = await readBlobs(repository, pack, list, signal)
      for (const ordinal of bad) badBlobs.add(`${key} ${keyOfId((pack.entries[ordinal] as PackEntry).id)}`)
      if (bad.length > 0 && !known.has(key)) damaged.push(key)
      if (bad.length === 0 && known.has(key)) healed.push(key)
      if (isUnverified && bad.length === 0) passed.push({ key, digest: pack.digest })
    })
    if (!isOpen) badPacks.add(key)
    if (chosen.has(key)) readBytes += sizeBytes
    onProgress?.({ doneBytes: readBytes, totalBytes })
  }
  return {
    keys: all.map(pack => pack.key),
    readBytes,
    unverified,
    passed,
    damaged,
    healed,
    damagedCount: all.filter(({ key }) => known.has(key)).length + damaged.length - healed.length,
    isBad: (key, id) => badPacks.has(key) || badBlobs.has(`${key} ${keyOfId(id)}`),
  }
}

const wrongSignature = (key: string): GranaryError =>
  new GranaryError('GRANARY_AUTHENTICATION', `${key}: its signature does not fit what it says it holds, or its name`, {
    detail: { object: key },
  })

/** Opens every blob of a pack. @returns the ordinals of damaged ones */
const readBlobs = async (
  { context }: Repository,
  pack: OpenPack,
  list: DamageList,
  signal: AbortSignal | undefined,
): Promise<number[]> => {
  const verifier = createBlobVerifier(context.keys)
  const bad: number[] = []
  for (let first = 0; first < pack.entries.length;) {
    const from = (pack.entries[first] as PackEntry).offset
    let last = first
    let to = from
    for (; last < pack.entries.length && (last === first || to - from < READ_BYTES); last++) {
      const entry = pack.entries[last] as PackEntry
      to = entry.offset + entry.sealedLength
    }
    const sealed = await context.backend.get(pack.key, { offset: from, length: to - from, signal })
    for (let ordinal = first; ordinal < last; ordinal++) {
      const entry = pack.entries[ordinal] as PackEntry
      const { offset, sealedLength } = entry
      try {
        openBlob(pack, { ordinal, entry }, sealed.subarray(offset - from, offset - from + sealedLength), verifier)
      } catch (error) {
        if (!isGranaryError(error)) throw error
        list.add(pack.key, error)
        bad.push(ordinal)
      }
    }
    await new Promise(resolve => setImmediate(resolve)) // Native decompressors free their results between turns.
    first = last
  }
  return bad
}

/** A share of the packs, at random; all of them for 1. */
const chooseShare = (packs: readonly { key: string }[], share: number, seed: number): Set<string> => {
  let state = seed >>> 0 || 1
  const random = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return new Set(packs.filter(() => share >= 1 || (share > 0 && random() < share)).map(pack => pack.key))
}
