/** Freshly made file systems full of random files, and what the kernel or mtools show of them. @module */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectPath } from '@granary/testing'
import type { ManifestEntry, ManifestVolume, Rules } from './manifest.ts'

/** How file systems of one kind are made; the options take turns by the seed. */
export interface Kind {
  readonly name: string
  readonly sizeBytes: number
  readonly mkfs: readonly (readonly string[])[]
  readonly rules: Rules
  /** How the kernel mounts it; without this it is filled by mtools. */
  readonly mount?: readonly string[]
  /** More options of the mount, which take turns by the seed. */
  readonly mountOptions?: readonly string[]
  /** Can't be made small enough for test/fixtures. */
  readonly isLarge?: boolean
}

const MIB = 1024 * 1024
const EXT_OPTIONS = ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0']
const ext = (name: string, ...options: readonly (readonly string[])[]): Kind => ({
  name,
  sizeBytes: 48 * MIB,
  mkfs: options.map(row => [`mkfs.${name}`, ...EXT_OPTIONS, ...row]),
  rules: 'unix',
  mount: ['-t', name, '-o', 'loop,noatime'],
})

export const kinds: readonly Kind[] = [
  ext('ext2', ['-b', '1024'], ['-b', '4096', '-I', '128']),
  ext('ext3', ['-b', '1024', '-J', 'size=4'], ['-b', '4096']),
  ext(
    'ext4',
    [],
    ['-b', '1024', '-J', 'size=4'],
    ['-O', 'inline_data', '-I', '512'],
    ['-O', 'bigalloc', '-C', '16384'],
    ['-O', '^metadata_csum,uninit_bg,^64bit'],
    ['-O', 'meta_bg,^resize_inode,ea_inode'],
  ),
  {
    name: 'xfs',
    sizeBytes: 320 * MIB,
    mkfs: [
      ['mkfs.xfs', '-q', '-f'],
      ['mkfs.xfs', '-q', '-f', '-b', 'size=1024', '-n', 'size=4096'],
      ['mkfs.xfs', '-q', '-f', '-i', 'size=2048', '-m', 'bigtime=0'],
    ],
    rules: 'unix',
    mount: ['-t', 'xfs', '-o', 'loop,noatime'],
    isLarge: true,
  },
  {
    name: 'btrfs',
    sizeBytes: 160 * MIB,
    mkfs: [
      ['mkfs.btrfs', '-q'],
      ['mkfs.btrfs', '-q', '-m', 'single', '-n', '4096'],
      ['mkfs.btrfs', '-q', '--mixed'],
      ['mkfs.btrfs', '-q', '-O', '^no-holes'],
    ],
    rules: 'unix',
    mount: ['-t', 'btrfs', '-o', 'loop,noatime'],
    mountOptions: ['compress-force=zstd', 'compress=no', 'compress-force=lzo', 'compress-force=zlib'],
    isLarge: true,
  },
  {
    name: 'vfat',
    sizeBytes: 40 * MIB,
    mkfs: [
      ['mkfs.fat', '-F', '32', '-s', '1'],
      ['mkfs.fat', '-F', '16'],
      ['mkfs.fat', '-F', '12', '-s', '64'],
    ],
    rules: 'fat-by-mtools',
  },
]

const hasProgram = (program: string): boolean => spawnSync('which', [program]).status === 0

/** Why file systems of a kind can't be made here, or false. */
export const freshSkip = (kind: Kind): string | false => {
  for (const program of ['python3', kind.mkfs[0]?.[0] ?? '', ...(kind.mount === undefined ? ['mcopy'] : [])])
    if (!hasProgram(program)) return `the program ${program} is not here`
  if (kind.mount === undefined) return false
  if (process.getuid?.() !== 0) return 'only root may mount'
  try {
    const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
    const path = join(folder, 'image')
    makeImage(kind, 0, path)
    const mounted = spawnSync('mount', [...kind.mount, path, folder]).status === 0
    if (mounted) execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
    return mounted ? false : `this kernel can't mount ${kind.name}`
  } catch (error) {
    return String(error)
  }
}

const makeImage = ({ sizeBytes, mkfs }: Kind, seed: number, path: string): void => {
  const [program, ...options] = mkfs[seed % mkfs.length] as [string, ...string[]]
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  execFileSync(program, [...options, path], { stdio: ['ignore', 'ignore', 'pipe'] })
}

export interface FreshOptions {
  readonly seed: number
  readonly files: number
  readonly maxFileBytes: number
}

export interface FreshFileSystem extends AsyncDisposable {
  readonly path: string
  readonly volume: ManifestVolume
  /** True when its journal wasn't written back: it is as after a crash. */
  readonly isDirty: boolean
}

const script = projectPath('packages', 'guestfs', 'test', 'helpers', 'kernel-view.py')
const python = (...args: readonly (string | number)[]): string =>
  execFileSync('python3', [script, ...args.map(String)], { maxBuffer: 1 << 30 }).toString()

/** A file system of a kind, full of random files. Every third that can be is taken while mounted, as a backup would. */
export const freshFileSystem = async (
  kind: Kind,
  { seed, files, maxFileBytes }: FreshOptions,
): Promise<FreshFileSystem> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  const path = join(folder, 'image')
  const top = join(folder, 'top')
  const isDirty = seed % 3 === 2 && kind.mount !== undefined && kind.name !== 'ext2'
  mkdirSync(top)
  makeImage(kind, seed, path)
  let entries: ManifestEntry[]
  const { mountOptions = [] } = kind
  const mount = [
    ...(kind.mount ?? []),
    ...(mountOptions.length === 0 ? [] : ['-o', mountOptions[seed % mountOptions.length] as string]),
  ]
  if (kind.mount === undefined) {
    python('fill', top, seed, files, maxFileBytes, 'plain')
    const names = readdirSync(top).map(name => join(top, name))
    const env = { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' }
    if (names.length > 0) execFileSync('mcopy', ['-s', '-m', '-Q', '-i', path, ...names, '::/'], { env })
    entries = JSON.parse(python('show', top)) as ManifestEntry[]
  } else {
    execFileSync('mount', [...mount, path, top])
    try {
      python('fill', top, seed, files, maxFileBytes)
      execFileSync('sync', ['-f', top])
      if (isDirty) execFileSync('cp', ['--sparse=always', path, `${path}.dirty`])
    } finally {
      execFileSync('umount', [top])
    }
    // Mounted anew, for what is still in the page cache of its maker counts as data, reserved or not.
    execFileSync('mount', ['-r', ...mount, path, top])
    try {
      entries = JSON.parse(python('show', top)) as ManifestEntry[]
    } finally {
      execFileSync('umount', [top])
    }
  }
  return {
    isDirty,
    path: isDirty ? `${path}.dirty` : path,
    volume: { id: kind.name, fs: kind.name, expect: 'read', source: { whole_disk: true }, entries },
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
