/** Segments of logical volumes: one row a type. @see LVM2 lib/metadata/segtype.h @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import { parityDisk, raid0Disk, raid10Disk, raid1Disk } from '../raid/raid-disk.ts'
import type { RaidMember, RaidSet } from '../raid/raid-disk.ts'
import type { ConfigSection } from './config.ts'
import { isLegInSync } from './raid-legs.ts'
import { thinDisk } from './thin.ts'
import type { Place, VolumeGroup } from './volume-group.ts'

const SECTOR_BYTES = 512
const MAX_STRIPES = 1024

interface Segment {
  readonly group: VolumeGroup
  readonly section: ConfigSection
  readonly sizeBytes: number
  readonly where: string
}

type Make = (segment: Segment, options: AbortOptions) => Promise<DiskReader> | DiskReader

const zeroDisk: Make = ({ sizeBytes, where }) =>
  mappedDisk({
    sizeBytes,
    blockBytes: SECTOR_BYTES,
    where,
    locate: offset => ({ kind: 'hole', length: sizeBytes - offset }),
  })

const errorDisk: Make = ({ sizeBytes, where }) =>
  mappedDisk({
    sizeBytes,
    blockBytes: SECTOR_BYTES,
    where,
    locate: offset => ({
      kind: 'missing',
      length: sizeBytes - offset,
      reason: () => corrupt(where, 'data', 'a segment of errors'),
    }),
  })

/** Places in a list of names and extents. */
const placesOf = async ({ group, section, where }: Segment, key: string, options: AbortOptions): Promise<Place[]> => {
  const list = section.list(key)
  if (list.length === 0 || list.length % 2 !== 0 || list.length > 2 * MAX_STRIPES)
    throw corrupt(where, `names and extents in ${key}`, list.length)
  const places: Place[] = []
  for (let index = 0; index < list.length; index += 2) {
    const [name, extent] = [list[index], list[index + 1]]
    if (typeof name !== 'string' || !Number.isSafeInteger(extent))
      throw corrupt(where, `names and extents in ${key}`, String(name))
    places.push(await group.place(name, extent as number, options))
  }
  return places
}

const raidSet = (segment: Segment, places: readonly Place[], chunkBytes: number, memberBytes: number): RaidSet => ({
  members: places.map((place): RaidMember => ('missing' in place ? undefined : place)),
  chunkBytes,
  memberBytes,
  where: segment.where,
  missing(index) {
    const place = places[index]
    return place !== undefined && 'missing' in place ? place.missing() : corrupt(segment.where, 'a member', index)
  },
})

const striped: Make = async (segment, options) => {
  const places = await placesOf(segment, 'stripes', options)
  const memberBytes = segment.sizeBytes / places.length
  if (places.length === 1) return raid1Disk(raidSet(segment, places, 0, memberBytes))
  const chunkBytes = segment.section.number('stripe_size') * SECTOR_BYTES
  return raid0Disk(raidSet(segment, places, chunkBytes, memberBytes))
}

const mirror: Make = async (segment, options) => {
  const places = await placesOf(segment, 'mirrors', options)
  return raid1Disk(raidSet(segment, places, 0, segment.sizeBytes))
}

/** Members of a raid segment: pairs of a small volume of metadata and one of data, or data alone for raid0. */
const raidPlaces = async ({ group, section, where }: Segment, options: AbortOptions): Promise<Place[]> => {
  const names = [...section.list('raids'), ...section.list('raid0_lvs')]
  const data = names.filter(name => typeof name === 'string' && !/_rmeta_\d+$/.test(name)) as string[]
  if (data.length === 0 || data.length > MAX_STRIPES) throw corrupt(where, 'members of a raid segment', data.length)
  const places: Place[] = []
  for (const [index, name] of data.entries()) {
    const missing = missingPart(group, name)
    if (missing !== undefined) {
      places.push({ missing })
      continue
    }
    const metadata = names.find(other => other === name.replace(/_rimage_(\d+)$/, '_rmeta_$1') && other !== name)
    const isInSync = typeof metadata !== 'string' || (await isLegInSync(group, metadata, index, options))
    places.push(
      isInSync
        ? await group.place(name, 0, options)
        : { missing: () => unsupported(where, `member ${index} was not in sync`) },
    )
  }
  return places
}

/** Why a volume that is wholly on one missing physical volume can't be read. */
const missingPart = (group: VolumeGroup, name: string): (() => Error) | undefined => {
  for (const [, segment] of group.logicalVolume(name).sections()) {
    for (const pv of segment.list('stripes')) {
      const missing = typeof pv === 'string' ? group.missingPhysicalVolume(pv) : undefined
      if (missing !== undefined) return missing
    }
  }
  return undefined
}

const raid1: Make = async (segment, options) =>
  raid1Disk(raidSet(segment, await raidPlaces(segment, options), 0, segment.sizeBytes))

const chunkOf = ({ section }: Segment): number => section.number('stripe_size') * SECTOR_BYTES

const raid0: Make = async (segment, options) => {
  const places = await raidPlaces(segment, options)
  return raid0Disk(raidSet(segment, places, chunkOf(segment), segment.sizeBytes / places.length))
}

const parity =
  (level: 4 | 5 | 6, layout: number): Make =>
  async (segment, options) => {
    const places = await raidPlaces(segment, options)
    const memberBytes = segment.sizeBytes / (places.length - (level === 6 ? 2 : 1))
    return parityDisk(raidSet(segment, places, chunkOf(segment), memberBytes), level, layout)
  }

const raid10: Make = async (segment, options) => {
  const places = await raidPlaces(segment, options)
  const nearCopies = segment.section.number('data_copies', 2)
  const set = raidSet(segment, places, chunkOf(segment), (segment.sizeBytes * nearCopies) / places.length)
  return raid10Disk(set, { nearCopies, farCopies: 1, isOffset: false })
}

const TYPES: Readonly<Record<string, Make>> = {
  striped,
  linear: striped,
  mirror,
  raid0,
  raid0_meta: raid0,
  raid1,
  raid4: parity(4, 5),
  raid5: parity(5, 2),
  raid5_la: parity(5, 0),
  raid5_ra: parity(5, 1),
  raid5_ls: parity(5, 2),
  raid5_rs: parity(5, 3),
  raid5_n: parity(5, 5),
  raid10,
  raid10_near: raid10,
  thin: async ({ group, section, sizeBytes, where }, options) =>
    await thinDisk(group, section, sizeBytes, where, options),
  zero: zeroDisk,
  error: errorDisk,
}

export const segmentDisk = async (
  group: VolumeGroup,
  section: ConfigSection,
  where: string,
  options: AbortOptions,
): Promise<DiskReader> => {
  // Flags that older versions of LVM must not pass over stand behind the type.
  const [type = ''] = section.text('type').split('+', 1)
  const make = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined
  if (make === undefined) throw unsupported(where, `segments of type ${type}`)
  const sizeBytes = section.number('extent_count') * group.extentBytes
  const disk = await make({ group, section, sizeBytes, where }, options)
  if (disk.sizeBytes < sizeBytes) throw corrupt(where, `a segment of ${sizeBytes} bytes`, disk.sizeBytes)
  return disk
}
