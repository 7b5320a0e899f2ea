/** Random files of all kinds as entries of an image, the same for the same seed. @module */
import type { Bytes } from '@granary/core'
import type { IsoEntry } from '@granary/extract'
import type { Name, Stat } from '@granary/guestfs'
import { seededBytes, seededRandom } from '@granary/testing'
import { sha256 } from './seen.ts'
import type { Seen, SeenFile } from './seen.ts'

const LETTERS = ['abcdefghij .-_', 'АБВабвгдеё', 'ÀÉñß', '日本語の', '🙂🎉x']

export interface RandomFilesOptions {
  readonly seed: number
  readonly count: number
  /** Leave out what UDF or its reader doesn't show: links, special files, names of other bytes. @default false */
  readonly plain?: boolean
  readonly maxNameUnits?: number
}

export interface RandomFiles {
  readonly entries: readonly IsoEntry[]
  readonly expected: Seen
}

const SECONDS = 1_600_000_000

export const contentEntry = (bytes: Bytes): Pick<IsoEntry, 'open'> => ({
  open: async () => ({
    sizeBytes: bytes.length,
    async *read() {
      for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000)
    },
  }),
})

export const statOf = (type: Stat['type'], more: Partial<Stat> = {}): Stat => ({
  type,
  ino: 0,
  sizeBytes: 0,
  nlink: 1,
  mode: type === 'dir' ? 0o755 : 0o644,
  uid: 0,
  gid: 0,
  mtime: BigInt(SECONDS) * 1_000_000_000n,
  ...more,
})

export const namesOf = (path: string): Name[] => path.split('/').map(text => ({ text }))

export const textEntry = (path: string, text: string, more: Partial<IsoEntry> = {}): IsoEntry => {
  const bytes = Buffer.from(text)
  return { path: namesOf(path), stat: statOf('file', { sizeBytes: bytes.length }), ...contentEntry(bytes), ...more }
}

export const randomFiles = ({ seed, count, plain = false, maxNameUnits = 250 }: RandomFilesOptions): RandomFiles => {
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item
  const folders: Name[][] = [[]]
  const entries: IsoEntry[] = []
  const expected: Seen = new Map()
  const taken = new Set<string>()
  const keyOf = (path: readonly Name[]): string =>
    path.map(({ text, bytes }) => Buffer.from(bytes ?? Buffer.from(text)).toString('latin1')).join('/')

  const name = (): Name => {
    if (!plain && random(12) === 0) {
      const bytes = seededBytes(pick([2, 9, 120, 240]), random(1e9)).map(byte =>
        byte === 0 || byte === 0x2f || byte === 0x0a ? 0xff : byte,
      )
      return { text: Array.from(bytes, byte => (byte < 0x80 ? String.fromCharCode(byte) : '?')).join(''), bytes }
    }
    const letters = Array.from(pick(LETTERS))
    const length = pick([1, 3, 8, 12, 30, 63, 64, 65, 100, 127, 128, 200, 250])
    let text = ''
    while (text.length < Math.min(length, maxNameUnits) && Buffer.byteLength(text) < 240) text += pick(letters)
    return { text: text.replace(/^[. ]+|[. ]+$/gu, 'x') || 'x' }
  }

  const add = (path: readonly Name[], entry: Omit<IsoEntry, 'path'>, more: Partial<SeenFile>): void => {
    const key = keyOf(path)
    taken.add(key.toLowerCase())
    entries.push({ path, ...entry })
    const { type, mode = 0, uid = 0, gid = 0, mtime = 0n } = entry.stat
    const isSpecial = !['file', 'dir', 'symlink'].includes(type)
    expected.set(key, {
      type: isSpecial ? 'special' : type,
      mode,
      uid,
      gid,
      seconds: Number(mtime / 1_000_000_000n),
      ...more,
    })
  }

  let links = 0
  for (let i = 0; i < count; i++) {
    const path = [...pick(folders), name()]
    if (taken.has(keyOf(path).toLowerCase())) continue
    const owner = {
      uid: pick([0, 1000, 70_000]),
      gid: pick([0, 100, 100_000]),
      mtime: BigInt(SECONDS - random(1e9)) * 1_000_000_000n + 5n,
    }
    const what = random(20)
    if (what < 3) {
      folders.push(path)
      add(path, { stat: statOf('dir', { ...owner, mode: pick([0o755, 0o700, 0o1777]) }) }, {})
    } else if (what < 5 && !plain) {
      const target = pick([
        'a',
        '../../x',
        '/абс/path',
        'y'.repeat(200),
        `/${'z'.repeat(120)}/${'q'.repeat(255)}`,
        './d/..',
        'n/'.repeat(150) + 'e',
      ])
      const shown = Buffer.from(target).toString('latin1')
      add(path, { stat: statOf('symlink', { ...owner, mode: 0o777 }), target: { text: target } }, { target: shown })
    } else if (what < 6 && !plain) {
      add(path, { stat: statOf('fifo', { ...owner, mode: 0o600 }) }, {})
    } else if (what < 7 && !plain) {
      add(path, { stat: statOf('chr', { ...owner, mode: 0o600, rdev: { major: 1, minor: 3 } }) }, {})
    } else {
      const sizeBytes = pick([0, 1, 2047, 2048, 2049, 5000, 300_000])
      const bytes = seededBytes(sizeBytes, seed * 1000 + i)
      const stat = statOf('file', { ...owner, sizeBytes, mode: pick([0o644, 0o600, 0o4755, 0o2750, 0o444]) })
      const isLinked = random(8) === 0
      const link = isLinked ? { linkKey: String(links++) } : {}
      add(path, { stat, ...contentEntry(bytes), ...link }, { sizeBytes, sha256: sha256(bytes) })
      const other = [...pick(folders), name()]
      if (isLinked && !taken.has(keyOf(other).toLowerCase()))
        add(other, { stat, ...contentEntry(bytes), ...link }, { sizeBytes, sha256: sha256(bytes) })
    }
  }
  return { entries, expected }
}
