/** Linux software arrays: the row of the detection table, and what makes arrays of members. @module */
import { GranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import type { Assembler } from '../../assembler.ts'
import type { Candidate, Detector } from '../../detect.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import { groupBy } from '../../group-by.ts'
import { failedDisk } from '../../disk/failed-disk.ts'
import type { WhyNot } from '../../volume.ts'
import { parityDisk, raid0Disk, raid0ZonesDisk, raid10Disk, raid1Disk } from '../raid/raid-disk.ts'
import type { RaidSet } from '../raid/raid-disk.ts'
import { findMdSuperblock } from './superblock.ts'
import type { MdSuperblock } from './superblock.ts'

const MAX_DISKS = 1024

export const md: Detector = {
  name: 'md',
  async detect(probe) {
    const header = await findMdSuperblock(probe)
    if (header === undefined) return undefined
    return {
      kind: 'member',
      content: 'linux_raid_member',
      uuid: header.uuid,
      ...(header.name === '' ? {} : { label: header.name }),
      member: { of: 'md', header },
    }
  },
}

interface MdMember {
  readonly candidate: Candidate
  readonly sb: MdSuperblock
}

export const mdAssembler: Assembler = {
  name: 'md',
  async assemble(members) {
    const sets = groupBy(
      members.map((member): MdMember => ({ candidate: member.candidate, sb: member.header as MdSuperblock })),
      ({ sb }) => sb.uuid,
    )
    const ids = new Set<string>()
    return [...sets].map(([uuid, set]) => {
      const [newest] = set.toSorted((a, b) => Number(b.sb.events - a.sb.events)) as [MdMember]
      const array = assembleArray(newest.sb, set)
      const name = newest.sb.name.replace(/^.*:/, '').replaceAll(/[\s:/]/g, '_')
      const id = name === '' || ids.has(name) ? `md-${uuid.slice(0, 8)}` : `md-${name}`
      ids.add(name)
      return {
        ...array,
        id,
        kind: 'md',
        depth: Math.max(...set.map(({ candidate }) => candidate.depth)) + 1,
        source: {
          disks: [...new Set(set.flatMap(({ candidate }) => candidate.source.disks))].sort((a, b) => a - b),
          md: newest.sb.level === -1 ? 'linear' : `raid${newest.sb.level}`,
        },
      }
    })
  },
}

type Assembled = Pick<Candidate, 'disk'> & { readonly whyNot?: WhyNot }

const assembleArray = (sb: MdSuperblock, set: readonly MdMember[]): Assembled => {
  const where = `md array ${sb.uuid}`
  if (!(sb.raidDisks >= 1 && sb.raidDisks <= MAX_DISKS))
    return failed(corrupt(where, `1 to ${MAX_DISKS} members`, sb.raidDisks), 'corrupt')
  if (sb.isReshaping) return failed(unsupported(where, 'is being reshaped, or has a journal'), 'unsupported')
  const byRole = membersByRole(sb, set)
  const absent = byRole.flatMap((member, role) => (member === undefined ? [role] : []))
  try {
    const disk = diskOf(sb, byRole, where)
    if (absent.length <= tolerated(sb)) return { disk }
    const message = `member ${absent.join(', ')} of ${sb.raidDisks} is not here`
    return { disk, whyNot: { reason: 'missing', message } }
  } catch (error) {
    return failed(error as Error, 'unsupported')
  }
}

const failed = (error: Error, reason: WhyNot['reason']): Assembled => ({
  disk: failedDisk(error),
  whyNot: { reason, message: error.message },
})

/** The newest for each place. One that is behind by more than one event was thrown out before, and is stale. */
const membersByRole = (sb: MdSuperblock, set: readonly MdMember[]): (MdMember | undefined)[] => {
  const byRole: (MdMember | undefined)[] = Array.from({ length: sb.raidDisks })
  for (const member of set) {
    const { role, events } = member.sb
    if (role === undefined || role >= byRole.length) continue
    if (sb.level > 0 && events + 1n < sb.events) continue
    const other = byRole[role]
    if (other === undefined || other.sb.events < events) byRole[role] = member
  }
  return byRole
}

/** How many members may be missing without loss; for mirrors the disks of a place tell when they are read. */
const tolerated = ({ level, raidDisks }: MdSuperblock): number => {
  if (level === 1) return raidDisks - 1
  if (level === 10) return Math.floor(raidDisks / 2)
  return level >= 4 && level <= 6 ? 1 : 0
}

const diskOf = (sb: MdSuperblock, byRole: readonly (MdMember | undefined)[], where: string): DiskReader => {
  const set: RaidSet = {
    members: byRole.map(member => member && { disk: member.candidate.disk, offset: member.sb.dataOffset }),
    chunkBytes: sb.chunkBytes,
    memberBytes: sb.memberBytes,
    where,
    missing: role => missingMember(where, role),
  }
  switch (sb.level) {
    case 0:
      return raid0Of(sb, byRole, set)
    case 1:
      return raid1Disk(set)
    case 4:
      return parityDisk(set, 4, 5)
    case 5:
    case 6:
      return parityDisk(set, sb.level, sb.layout)
    case 10:
      return raid10Of(sb, set)
    case -1:
      return linearOf(byRole, set)
    default:
      throw unsupported(where, `level ${sb.level}`)
  }
}

const missingMember = (where: string, role: number): Error =>
  new GranaryError('GRANARY_NOT_FOUND', `${where}: member ${role} is not here, or is out of date`, {
    detail: { where, member: role },
    hint: 'name all disks of the machine',
  })

const raid0Of = (sb: MdSuperblock, byRole: readonly (MdMember | undefined)[], set: RaidSet): DiskReader => {
  const sizes = byRole.map(member => member?.sb.dataBytes)
  const known = sizes.filter(size => size !== undefined)
  const rounded = new Set(known.map(size => Math.floor(size / sb.chunkBytes)))
  // A missing member's length isn't known: as long as the others, where they are alike.
  if (rounded.size === 1) return raid0Disk({ ...set, memberBytes: known[0] as number })
  if (known.length < sizes.length) throw missingMember(set.where, sizes.indexOf(undefined))
  if (sb.layout !== 1 && sb.layout !== 2)
    throw unsupported(set.where, 'members of different lengths, and no layout said')
  return raid0ZonesDisk(set, known, sb.layout)
}

const raid10Of = (sb: MdSuperblock, set: RaidSet): DiskReader => {
  if (sb.layout >>> 17 !== 0) throw unsupported(set.where, `layout 0x${sb.layout.toString(16)}, with far sets`)
  return raid10Disk(set, {
    nearCopies: sb.layout & 0xff,
    farCopies: (sb.layout >>> 8) & 0xff,
    isOffset: (sb.layout & 0x10000) !== 0,
  })
}

/** One after the other; without one that is in between, nothing behind it has a place. */
const linearOf = (byRole: readonly (MdMember | undefined)[], set: RaidSet): DiskReader => {
  const parts: { start: number; end: number; role: number }[] = []
  let end = 0
  for (const [role, member] of byRole.entries()) {
    if (member === undefined) throw missingMember(set.where, role)
    parts.push({ start: end, end: end + member.sb.dataBytes, role })
    end += member.sb.dataBytes
  }
  return mappedDisk({
    sizeBytes: end,
    blockBytes: 512,
    where: set.where,
    locate(offset) {
      const part = parts.find(candidate => offset < candidate.end) as (typeof parts)[number]
      const { disk, offset: start } = set.members[part.role] as { disk: DiskReader; offset: number }
      return { kind: 'disk', disk, offset: start + offset - part.start, length: part.end - offset }
    },
  })
}
