/**
 * Rock Ridge: what POSIX knows of a file, as system use entries.
 *
 * @see RRIP 1.12 (IEEE P1282), section 4
 * @module
 */
import type { Bytes } from '@granary/core'
import { bytesOfName, splitPath } from '@granary/guestfs'
import type { Name, Stat } from '@granary/guestfs'
import { fitsShortDate, longDate, setBoth32, shortDate } from './fields.ts'
import type { IsoFile } from './node.ts'
import { systemUseEntry } from './system-use.ts'

/** The file types of st_mode. */
const TYPE_BITS: Readonly<Record<Stat['type'], number>> = {
  fifo: 0o01_0000,
  chr: 0o02_0000,
  dir: 0o04_0000,
  blk: 0o06_0000,
  file: 0o10_0000,
  symlink: 0o12_0000,
  socket: 0o14_0000,
}

/** Bytes of a name, or of a link's component, in one entry: its length is one byte. */
const MAX_PART_BYTES = 250

/** Data of one SL entry: components up to its length byte's end. */
const MAX_LINK_BYTES = 250

/** SUSP 5.3, in the root's own entry: sharing is used, nothing is skipped. */
export const sharingEntry = (): Bytes => systemUseEntry('SP', Uint8Array.of(0xbe, 0xef, 0))

/** SUSP 5.5: which extension this is. */
export const extensionsEntry = (): Bytes => {
  const texts = [
    'IEEE_P1282',
    'THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS',
    'PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION',
  ]
  const lengths = Uint8Array.from([...texts.map(text => text.length), 1])
  return systemUseEntry('ER', Buffer.concat([lengths, Buffer.from(texts.join(''), 'latin1')]))
}

/** Everything but the name. `links` counts as the image has them. */
export const attributeEntries = (file: IsoFile, links: number): Bytes[] => {
  const { stat, target } = file
  const entries = [posixEntry(file, links)]
  if (stat.rdev !== undefined && (stat.type === 'chr' || stat.type === 'blk')) entries.push(deviceEntry(stat.rdev))
  if (target !== undefined) entries.push(...linkEntries(target))
  const times = timesEntry(stat)
  if (times !== undefined) entries.push(times)
  return entries
}

/** 4.1.1: mode, links, owner, group, serial number. Owners of 32 bits; what has none is root's. */
const posixEntry = ({ stat, serial }: IsoFile, links: number): Bytes => {
  const data = new Uint8Array(40)
  const view = new DataView(data.buffer)
  const mode = stat.mode ?? (stat.type === 'dir' ? 0o755 : 0o644)
  setBoth32(view, 0, TYPE_BITS[stat.type] | mode)
  setBoth32(view, 8, links)
  setBoth32(view, 16, stat.uid ?? 0)
  setBoth32(view, 24, stat.gid ?? 0)
  setBoth32(view, 32, serial)
  return systemUseEntry('PX', data)
}

/**
 * 4.1.2. Readers disagree: what fits into the 16 bits of old is one number to all of them; larger ones are given as Linux
 * reads them, major in the high half and minor in the low one.
 */
const deviceEntry = ({ major, minor }: { readonly major: number; readonly minor: number }): Bytes => {
  const data = new Uint8Array(16)
  const view = new DataView(data.buffer)
  const isOld = major > 0 && major <= 0xff && minor <= 0xff
  setBoth32(view, 0, isOld ? 0 : major)
  setBoth32(view, 8, isOld ? (major << 8) | minor : minor)
  return systemUseEntry('PN', data)
}

/** 4.1.4: the name, in as many entries as it needs. */
export const nameEntries = (name: string): Bytes[] => {
  const bytes = Buffer.from(name, 'latin1')
  const entries = []
  for (let at = 0; at < bytes.length; at += MAX_PART_BYTES) {
    const part = bytes.subarray(at, at + MAX_PART_BYTES)
    const goesOn = at + part.length < bytes.length
    entries.push(systemUseEntry('NM', Buffer.concat([Uint8Array.of(goesOn ? 1 : 0), part])))
  }
  return entries
}

/** Flags of a component (4.1.3.1). */
const GOES_ON = 1
const CURRENT = 2
const PARENT = 4
const ROOT = 8

/** 4.1.3: a link's target as components, in as many entries as it needs. */
const linkEntries = (target: Name): Bytes[] => {
  const components = componentsOf(target)
  const entries: Bytes[] = []
  let waiting: Bytes[] = []
  let bytes = 0
  const end = (goesOn: boolean): void => {
    entries.push(systemUseEntry('SL', Buffer.concat([Uint8Array.of(goesOn ? 1 : 0), ...waiting])))
    waiting = []
    bytes = 0
  }
  for (const component of components) {
    if (bytes + component.length > MAX_LINK_BYTES) end(true)
    waiting.push(component)
    bytes += component.length
  }
  end(false)
  return entries
}

const componentsOf = (target: Name): Bytes[] => {
  const bytes = bytesOfName(target)
  const root = bytes[0] === 0x2f ? [Uint8Array.of(ROOT, 0)] : []
  const current = startsWithDot(target) ? [Uint8Array.of(CURRENT, 0)] : []
  return [...root, ...current, ...splitPath(bytes).flatMap(partsOf)]
}

/** `splitPath` leaves out each `.`; only a first one says something, in a link to `.` itself. */
const startsWithDot = ({ text }: Name): boolean => text === '.' || text.startsWith('./')

const partsOf = (name: Name): Bytes[] => {
  if (name.text === '..' && name.bytes === undefined) return [Uint8Array.of(PARENT, 0)]
  const bytes = bytesOfName(name)
  const parts = []
  const room = MAX_LINK_BYTES - 2
  for (let at = 0; at < bytes.length; at += room) {
    const part = bytes.subarray(at, at + room)
    parts.push(Buffer.concat([Uint8Array.of(at + part.length < bytes.length ? GOES_ON : 0, part.length), part]))
  }
  return parts
}

/** Which times stand in TF (4.1.6), in the order of its flags. */
const TIMES = [
  [1, 'btime'],
  [2, 'mtime'],
  [4, 'atime'],
  [8, 'ctime'],
] as const

const LONG_FORM = 0x80

const timesEntry = (stat: Stat): Bytes | undefined => {
  const known = TIMES.flatMap(([flag, key]) => {
    const ns = stat[key]
    return ns === undefined ? [] : [{ flag, ns }]
  })
  if (known.length === 0) return undefined
  const isShort = known.every(({ ns }) => fitsShortDate(ns))
  const flags = known.reduce((bits, { flag }) => bits | flag, isShort ? 0 : LONG_FORM)
  const dates = known.map(({ ns }) => (isShort ? shortDate(ns) : longDate(ns)))
  return systemUseEntry('TF', Buffer.concat([Uint8Array.of(flags), ...dates]))
}
