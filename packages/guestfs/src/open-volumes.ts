/** Finds the volumes on a set of disks. @module */
import type { Bytes, DiskReader } from '@granary/core'
import { assemblers } from './assemblers.ts'
import { probeOf } from './detect.ts'
import type { Candidate, Found, FoundMember } from './detect.ts'
import { detectors } from './detectors.ts'
import { CachedDisk } from './disk/cached-disk.ts'
import { sliceDisk } from './disk/mapped-disk.ts'
import { notFound, unsupported } from './errors.ts'
import { looksRandom } from './looks-random.ts'
import { partitionTypeWhyNot } from './tables/partition-types.ts'
import type { UnlockKey, UnlockOptions } from './unlock.ts'
import type { Volume, VolumeSet, WhyNot } from './volume.ts'
import { WarningLog } from './warnings.ts'

/** A table in a volume of a table in a… : real ones are two or three deep. */
const MAX_DEPTH = 6

/** Partitions and logical volumes told of at most. */
const MAX_VOLUMES = 10_000

/** For looking only; an opened tree has a cache of its own. */
const PROBE_CACHE_BYTES = 1024 * 1024

export interface OpenVolumesOptions extends UnlockOptions {
  /** Keys of encrypted containers. @default none */
  readonly unlock?: readonly UnlockKey[]
}

interface Search extends UnlockOptions {
  readonly keys: readonly UnlockKey[]
  readonly usedKeys: Set<UnlockKey>
  readonly warnings: WarningLog
  readonly volumes: Volume[]
  members: FoundMember[]
  /** Parts of file systems that span several volumes, by what they have in common. */
  readonly peers: Map<string, Candidate[]>
  readonly isSingle: boolean
}

/**
 * The volumes of the disks of one machine. The disks stay the caller's, and must stay open while the set is used.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` when a key opens nothing in its volume, `GRANARY_UNSUPPORTED` when it can't be
 * opened by a key, `GRANARY_NOT_FOUND` when there is no such volume
 * @throws GranaryError `GRANARY_IO` and others only for what reading the disks throws when aborted; unreadable
 * places are warnings
 */
export const openVolumes = async (
  disks: readonly DiskReader[],
  options: OpenVolumesOptions = {},
): Promise<VolumeSet> => {
  const { signal, argon2, blockCiphers, unlock: keys = [] } = options
  const search: Search = {
    signal,
    argon2,
    blockCiphers,
    keys,
    usedKeys: new Set(),
    warnings: new WarningLog(),
    volumes: [],
    members: [],
    peers: new Map(),
    isSingle: disks.length === 1,
  }
  for (const [index, disk] of disks.entries()) {
    const id = search.isSingle ? 'disk' : `d${index}`
    await look(search, { id, kind: 'whole', disk, source: { disks: [index], offset: 0 }, depth: 0 })
  }
  await assemble(search)
  for (const key of keys) if (!search.usedKeys.has(key)) throw notFound(`volume ${key.volume}, which a key is for,`)
  return {
    volumes: search.volumes,
    get warnings() {
      return search.warnings.list()
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** Puts members together until nothing new comes: an array may hold physical volumes, and they more. */
const assemble = async (search: Search): Promise<void> => {
  for (let round = 0; round < MAX_DEPTH && search.members.length > 0; round++) {
    for (const assembler of assemblers) {
      const own = search.members.filter(member => member.of === assembler.name)
      search.members = search.members.filter(member => member.of !== assembler.name)
      if (own.length === 0) continue
      const { signal, warnings } = search
      for (const candidate of await assembler.assemble(own, { signal, warnings })) await look(search, candidate)
    }
  }
}

const look = async (search: Search, candidate: Candidate): Promise<void> => {
  search.signal?.throwIfAborted()
  if (search.volumes.length >= MAX_VOLUMES) {
    search.warnings.add(candidate.id, `more than ${MAX_VOLUMES} volumes: the rest is not shown`)
    return
  }
  if (candidate.whyNot !== undefined) search.warnings.add(candidate.id, candidate.whyNot.message)
  const found = candidate.depth <= MAX_DEPTH ? await detect(search, candidate) : undefined
  if (found?.kind === 'table') {
    await lookAtPartitions(search, candidate, found)
    return
  }
  const keys = keysOf(search, candidate, found)
  if (keys.length > 0) {
    await lookInside(search, candidate, found, keys)
    return
  }
  if (found?.kind === 'member') search.members.push({ ...found.member, candidate })
  search.volumes.push(await volumeOf(search, candidate, found))
}

/** Keys that name this volume by its id or its UUID. */
const keysOf = (search: Search, { id }: Candidate, found: Found | undefined): Bytes[] => {
  const uuid = found === undefined || found.kind === 'table' ? undefined : found.uuid
  const own = search.keys.filter(({ volume }) => volume === id || (uuid !== undefined && volume === uuid))
  for (const key of own) search.usedKeys.add(key)
  return own.map(({ key }) => key)
}

/** Unlocks a container and looks at what is in it: a file system, or members of arrays and groups. */
const lookInside = async (
  search: Search,
  candidate: Candidate,
  found: Exclude<Found, { kind: 'table' }> | undefined,
  keys: readonly Bytes[],
): Promise<void> => {
  const { id, disk, source, depth } = candidate
  if (found?.kind !== 'locked')
    throw unsupported(`volume ${id}`, `${found?.content ?? 'what is there'} is not opened by a key`)
  const inner = await found.unlock(disk, keys, search)
  const innerId = `${id}-unlocked`
  const whyNot: WhyNot = { reason: 'member', message: `unlocked: its content is ${innerId}` }
  search.volumes.push(await volumeOf(search, candidate, { ...found, whyNot }))
  const { offset: _, ...place } = source
  await look(search, {
    id: innerId,
    kind: 'unlocked',
    disk: inner,
    source: { ...place, container: id },
    depth: depth + 1,
  })
}

const lookAtPartitions = async (
  search: Search,
  parent: Candidate,
  { partitions }: Extract<Found, { kind: 'table' }>,
): Promise<void> => {
  if (partitions.length === 0) {
    const whyNot: WhyNot = { reason: 'empty', message: 'a partition table without partitions' }
    search.volumes.push(await volumeOf(search, parent, { kind: 'named', content: 'table', whyNot }))
  }
  for (const partition of partitions) {
    const id = parent.id === 'disk' ? `p${partition.number}` : `${parent.id}p${partition.number}`
    const { offset, sizeBytes } = partition
    if (offset + sizeBytes > parent.disk.sizeBytes)
      search.warnings.add(id, `ends beyond the end of the disk, at ${offset + sizeBytes} of ${parent.disk.sizeBytes}`)
    const outer = parent.source.offset
    await look(search, {
      id,
      kind: 'partition',
      disk: sliceDisk(parent.disk, offset, sizeBytes, id),
      depth: parent.depth + 1,
      source: {
        ...parent.source,
        ...(outer === undefined ? {} : { offset: outer + offset }),
        partition: partition.number,
        partitionType: partition.type,
        ...(partition.name === undefined ? {} : { partitionName: partition.name }),
        ...(partition.uuid === undefined ? {} : { partitionUuid: partition.uuid }),
      },
    })
  }
}

/** The first row that recognises something. A row that fails is a warning, and the next has its turn. */
const detect = async (search: Search, candidate: Candidate): Promise<Found | undefined> => {
  const { signal, warnings } = search
  const disk = new CachedDisk(candidate.disk, { capacityBytes: PROBE_CACHE_BYTES })
  const probe = probeOf(disk, candidate.kind, candidate.id, warnings, signal)
  for (const detector of detectors) {
    try {
      const found = await detector.detect(probe)
      if (found !== undefined) return found
    } catch (error) {
      signal?.throwIfAborted()
      warnings.addError(`${candidate.id}, ${detector.name}`, error)
    }
  }
  return undefined
}

const volumeOf = async (
  search: Search,
  candidate: Candidate,
  found: Exclude<Found, { kind: 'table' }> | undefined,
): Promise<Volume> => {
  const { kind, disk, source } = candidate
  const id = uniqueId(search, candidate.id)
  const peers = peersOf(search, candidate, found)
  if (found !== undefined && peers[0] !== undefined && peers[0] !== candidate) {
    const whyNot: WhyNot = { reason: 'member', message: `a part of the file system of ${peers[0].id}` }
    return await volumeOf(search, candidate, { kind: 'named', content: found.content, whyNot })
  }
  // A tree is shown even when parts of its volume aren't here: the files on the others can be read.
  const whyNot = found?.kind === 'tree' ? undefined : (candidate.whyNot ?? (await whyNotOf(search, candidate, found)))
  const label = found?.label ?? candidate.label
  const uuid = found?.uuid ?? candidate.uuid
  return {
    id,
    kind,
    disk,
    source,
    sizeBytes: disk.sizeBytes,
    ...(found === undefined ? {} : { content: found.content }),
    ...(label === undefined ? {} : { label }),
    ...(uuid === undefined ? {} : { uuid }),
    ...(whyNot === undefined ? {} : { whyNot }),
    async open(options = {}) {
      options.signal?.throwIfAborted()
      if (found?.kind === 'tree')
        return await found.open(
          disk,
          options,
          peers.slice(1).map(peer => peer.disk),
        )
      throw unsupported(`volume ${id}`, whyNot?.message ?? 'no file system')
    },
  }
}

/** Names of groups and arrays are the guest's: two of its disks may bring the same one, or one that no address can hold. */
const uniqueId = ({ volumes }: Search, wanted: string): string => {
  const plain = wanted.replaceAll(/[\s:@]/g, '_')
  let id = plain
  for (let number = 2; volumes.some(volume => volume.id === id); number++) id = `${plain}~${number}`
  return id
}

/** All volumes found so far, and later too, that are parts of the same file system. */
const peersOf = (
  { peers }: Search,
  candidate: Candidate,
  found: Exclude<Found, { kind: 'table' }> | undefined,
): readonly Candidate[] => {
  const key = found?.kind === 'tree' ? found.peerKey : undefined
  if (key === undefined) return []
  const group = peers.get(key) ?? []
  peers.set(key, group)
  group.push(candidate)
  return group
}

const whyNotOf = async (
  { signal }: Search,
  { disk, source }: Candidate,
  found: Exclude<Found, { kind: 'table' }> | undefined,
): Promise<WhyNot | undefined> => {
  if (found?.kind === 'tree') return undefined
  if (found?.kind === 'named' || found?.kind === 'locked') return found.whyNot
  if (found?.kind === 'member') return { reason: 'member', message: `a part of ${found.member.of}` }
  const byType = partitionTypeWhyNot(source.partitionType)
  if (byType !== undefined) return byType
  const isRandom = await looksRandom(disk, { signal })
  return isRandom
    ? { reason: 'encrypted', message: 'nothing known, and its bytes look random: encrypted, perhaps' }
    : { reason: 'empty', message: 'nothing known is there' }
}
