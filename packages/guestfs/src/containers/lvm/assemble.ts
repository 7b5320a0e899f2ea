/** Makes logical volumes of physical ones. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import type { AssembleOptions, Assembler } from '../../assembler.ts'
import type { Candidate, FoundMember } from '../../detect.ts'
import { failedDisk } from '../../disk/failed-disk.ts'
import { unsupported } from '../../errors.ts'
import { groupBy } from '../../group-by.ts'
import type { WhyNot } from '../../volume.ts'
import type { ConfigSection } from './config.ts'
import { groupSection, sequenceOf } from './physical-volume.ts'
import type { PhysicalVolume } from './physical-volume.ts'
import { snapshotDisk } from './snapshot.ts'
import { VolumeGroup } from './volume-group.ts'

/** Types whose volumes are parts of others and hold no files of their own. */
const PART_TYPES = /^(thin-pool|cache-pool|snapshot|vdo-pool)$/

export const lvmAssembler: Assembler = {
  name: 'LVM2',
  async assemble(members, options) {
    const candidates = candidatesByUuid(members, options)
    const texts = members.flatMap(({ header }) => (header as PhysicalVolume).metadata ?? [])
    const groups = groupBy(texts, metadata => groupSection(metadata)?.optionalText('id') ?? '')
    const volumes: Candidate[] = []
    const names = new Set<string>()
    for (const [uuid, copies] of groups) {
      const [newest] = copies.toSorted((a, b) => sequenceOf(b) - sequenceOf(a))
      const section = newest === undefined ? undefined : groupSection(newest)
      if (section === undefined) continue
      // Two machines' groups have the same name as often as not: the second is told apart by its UUID.
      const name = names.has(section.name) ? `${section.name}~${uuid.slice(0, 6)}` : section.name
      names.add(name)
      try {
        volumes.push(...(await volumesOf(new VolumeGroup(name, section, candidates), options)))
      } catch (error) {
        options.signal?.throwIfAborted()
        options.warnings.addError(`volume group ${name}`, error)
      }
    }
    return volumes
  },
}

const candidatesByUuid = (members: readonly FoundMember[], { warnings }: AssembleOptions): Map<string, Candidate> => {
  const byUuid = new Map<string, Candidate>()
  for (const { header, candidate } of members) {
    const { uuid } = header as PhysicalVolume
    const other = byUuid.get(uuid)
    if (other === undefined) byUuid.set(uuid, candidate)
    else warnings.add(candidate.id, `is a copy of ${other.id}, the same physical volume: it is not used`)
  }
  return byUuid
}

const volumesOf = async (group: VolumeGroup, options: AssembleOptions): Promise<Candidate[]> => {
  const pvs = group.physicalVolumes()
  const present = pvs.flatMap(({ candidate }) => candidate ?? [])
  for (const { uuid, candidate } of pvs)
    if (candidate === undefined)
      options.warnings.add(`volume group ${group.name}`, `physical volume ${uuid} is not here`)
  const [first] = present
  const disks = [...new Set(present.flatMap(({ source }) => source.disks))].sort((a, b) => a - b)
  const stores = snapshotStores(group)
  const volumes: Candidate[] = []
  for (const [name, section] of group.logicalVolumes()) {
    const type = section.sections()[0]?.[1].optionalText('type') ?? ''
    if (!section.list('status').includes('VISIBLE') || PART_TYPES.test(type)) continue
    volumes.push({
      id: `${group.name}/${name}`,
      kind: 'lv',
      depth: Math.max(0, ...present.map(({ depth }) => depth)) + 1,
      source: {
        disks,
        lv: `${group.name}/${name}`,
        ...(first?.source.partition === undefined ? {} : { partition: first.source.partition }),
      },
      ...(await diskOrReason(group, name, stores, options)),
    })
  }
  return volumes.sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Names of volumes that are stores of snapshots, with the snapshot's own segment. */
const snapshotStores = (group: VolumeGroup): Map<string, ConfigSection> => {
  const stores = new Map<string, ConfigSection>()
  for (const [, volume] of group.logicalVolumes()) {
    for (const [, segment] of volume.sections()) {
      const store = segment.optionalText('cow_store') ?? segment.optionalText('merging_store')
      if (segment.optionalText('type') === 'snapshot' && store !== undefined) stores.set(store, segment)
    }
  }
  return stores
}

const diskOrReason = async (
  group: VolumeGroup,
  name: string,
  stores: ReadonlyMap<string, ConfigSection>,
  options: AbortOptions,
): Promise<{ disk: DiskReader; whyNot?: WhyNot }> => {
  try {
    const disk = await group.disk(name, options)
    const snapshot = stores.get(name)
    if (snapshot === undefined) return { disk }
    const where = `logical volume ${group.name}/${name}`
    if (snapshot.optionalText('merging_store') !== undefined)
      throw unsupported(where, 'is being merged into its origin')
    return { disk: await snapshotDisk(await group.disk(snapshot.text('origin'), options), disk, where, options) }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!isGranaryError(error)) throw error
    const reasons: Partial<Record<typeof error.code, WhyNot['reason']>> = {
      GRANARY_UNSUPPORTED: 'unsupported',
      GRANARY_NOT_FOUND: 'missing',
    }
    return { disk: failedDisk(error), whyNot: { reason: reasons[error.code] ?? 'corrupt', message: error.message } }
  }
}
