/** A volume group: its physical volumes, and disks made of its logical ones. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import type { Candidate } from '../../detect.ts'
import { corrupt, notFound } from '../../errors.ts'
import type { ConfigSection } from './config.ts'
import { segmentDisk } from './segments.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'

const SECTOR_BYTES = 512

/** A volume of volumes of…: a cached thin pool on a mirror is five deep. */
const MAX_DEPTH = 16

/** A disk, and where a range begins on it; or why it isn't here. */
export type Place = { readonly disk: DiskReader; readonly offset: number } | { readonly missing: () => Error }

export class VolumeGroup {
  readonly name: string
  readonly extentBytes: number
  readonly section: ConfigSection
  readonly #candidates: ReadonlyMap<string, Candidate>
  readonly #disks = new Map<string, DiskReader>()
  readonly #open: string[] = []

  /** @param candidates physical volumes by UUID without dashes */
  constructor(name: string, section: ConfigSection, candidates: ReadonlyMap<string, Candidate>) {
    this.name = name
    this.section = section
    this.#candidates = candidates
    this.extentBytes = section.number('extent_size') * SECTOR_BYTES
    if (this.extentBytes === 0) throw corrupt(`volume group ${name}`, 'an extent size', 0)
  }

  logicalVolumes(): [name: string, section: ConfigSection][] {
    return this.section.section('logical_volumes')?.sections() ?? []
  }

  logicalVolume(name: string): ConfigSection {
    const found = this.section.section('logical_volumes')?.section(name)
    if (found === undefined) throw notFound(`logical volume ${this.name}/${name}`)
    return found
  }

  physicalVolumes(): { uuid: string; candidate: Candidate | undefined }[] {
    return (this.section.section('physical_volumes')?.sections() ?? []).map(([, pv]) => {
      const uuid = pv.text('id').replaceAll('-', '')
      return { uuid, candidate: this.#candidates.get(uuid) }
    })
  }

  /** The start of an extent of a physical volume, or of a logical one: segments may lie on both. */
  async place(name: string, extent: number, options: AbortOptions): Promise<Place> {
    const pv = this.section.section('physical_volumes')?.section(name)
    if (pv === undefined) return { disk: await this.disk(name, options), offset: extent * this.extentBytes }
    const missing = this.missingPhysicalVolume(name)
    if (missing !== undefined) return { missing }
    const candidate = this.#candidates.get(pv.text('id').replaceAll('-', '')) as Candidate
    return { disk: candidate.disk, offset: pv.number('pe_start') * SECTOR_BYTES + extent * this.extentBytes }
  }

  /** Why a physical volume can't be read, or undefined when it can (or is none). */
  missingPhysicalVolume(name: string): (() => Error) | undefined {
    const uuid = this.section.section('physical_volumes')?.section(name)?.text('id')
    if (uuid === undefined || this.#candidates.has(uuid.replaceAll('-', ''))) return undefined
    return () =>
      new GranaryError('GRANARY_NOT_FOUND', `volume group ${this.name}: physical volume ${uuid} is not here`, {
        detail: { volumeGroup: this.name, physicalVolume: uuid },
        hint: 'name all disks of the machine',
      })
  }

  /**
   * A logical volume as a disk; the parts of it that are on missing physical volumes fail when they are read.
   *
   * @throws GranaryError `GRANARY_UNSUPPORTED`, `GRANARY_CORRUPT`
   */
  async disk(name: string, options: AbortOptions): Promise<DiskReader> {
    const kept = this.#disks.get(name)
    if (kept !== undefined) return kept
    if (this.#open.includes(name) || this.#open.length >= MAX_DEPTH)
      throw corrupt(`logical volume ${this.name}/${name}`, 'volumes that end', this.#open.join(' > '))
    this.#open.push(name)
    try {
      const disk = await this.#make(name, options)
      this.#disks.set(name, disk)
      return disk
    } finally {
      this.#open.pop()
    }
  }

  async #make(name: string, options: AbortOptions): Promise<DiskReader> {
    const where = `logical volume ${this.name}/${name}`
    const segments: { start: number; end: number; disk: DiskReader }[] = []
    for (const [, segment] of this.logicalVolume(name).sections()) {
      const start = segment.number('start_extent') * this.extentBytes
      const end = start + segment.number('extent_count') * this.extentBytes
      segments.push({ start, end, disk: await segmentDisk(this, segment, where, options) })
    }
    segments.sort((a, b) => a.start - b.start)
    for (const [index, { start, end }] of segments.entries()) {
      const previous = segments[index - 1]?.end ?? 0
      if (start !== previous || end <= start) throw corrupt(where, `a segment from ${previous}`, `${start} to ${end}`)
    }
    return mappedDisk({
      sizeBytes: segments.at(-1)?.end ?? 0,
      blockBytes: SECTOR_BYTES,
      where,
      locate(offset) {
        const { start, end, disk } = segments.find(segment => offset < segment.end) as (typeof segments)[number]
        return { kind: 'disk', disk, offset: offset - start, length: end - offset }
      },
    })
  }
}
