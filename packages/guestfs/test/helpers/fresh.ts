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
  /** How it is mounted; without this it is filled by mtools. */
  readonly mount?: readonly string[]
  /** More options of the mount, which take turns by the seed. */
  readonly mountOptions?: readonly string[]
  /** Names, files and folders only: it keeps nothing else, or its driver here doesn't. */
  readonly isPlain?: boolean
  /** A program that the mount needs. */
  readonly driver?: string
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
  {
    name: 'ntfs',
    sizeBytes: 40 * MIB,
    mkfs: [
      ['mkntfs', '-q', '-F', '-Q'],
      ['mkntfs', '-q', '-F', '-Q', '-c', '512', '-C'],
      ['mkntfs', '-q', '-F', '-Q', '-c', '65536'],
    ],
    rules: 'by-driver',
    // On a device: of a file, `umount` comes back before the driver has written everything.
    mount: ['-t', 'ntfs-3g', '-o', 'loop,noatime'],
    mountOptions: ['nocompression', 'compression'],
    isPlain: true,
    driver: 'ntfs-3g',
    isLarge: true,
  },
  {
    name: 'exfat',
    sizeBytes: 24 * MIB,
    mkfs: [
      ['mkfs.exfat', '-c', '4K'],
      ['mkfs.exfat', '-c', '512'],
      ['mkfs.exfat', '-c', '128K'],
    ],
    rules: 'by-driver',
    mount: ['-t', 'exfat-fuse', '-o', 'loop,noatime'],
    isPlain: true,
    driver: 'mount.exfat-fuse',
    isLarge: true,
  },
]

const hasProgram = (program: string): boolean => spawnSync('which', [program]).status === 0

/** Why file systems of a kind can't be made here, or false. */
export const freshSkip = (kind: Kind): string | false => {
  const drivers = kind.driver === undefined ? [] : [kind.driver]
  for (const program of ['python3', kind.mkfs[0]?.[0] ?? '', ...(kind.mount === undefined ? ['mcopy'] : drivers)])
    if (!hasProgram(program)) return `the program ${program} is not here`
  if (kind.mount === undefined) return false
  if (process.getuid?.() !== 0) return 'only root may mount'
  try {
    const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
    const path = join(folder, 'image')
    makeImage(kind, 0, path)
    const top = join(folder, 'top')
    mkdirSync(top)
    const mount = ['mount "$@" "$IMAGE" "$TOP"', 'umount "$TOP"']
    let why: string | false = false
    try {
      inOwnNamespace(mount, { IMAGE: path, TOP: top }, kind.mount)
    } catch (error) {
      why = `${kind.name} can't be mounted here: ${String(error)}`
    }
    rmSync(folder, { recursive: true })
    return why
  } catch (error) {
    return String(error)
  }
}

export const makeImage = ({ sizeBytes, mkfs }: Kind, seed: number, path: string): void => {
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
  execFileSync('python3', ['-IS', script, ...args.map(String)], { maxBuffer: 1 << 30 }).toString()

/**
 * Runs the steps of a shell where nobody else sees the mounts: no other process keeps one busy by a copy of it, and none
 * outlives a step that fails.
 */
export const inOwnNamespace = (
  steps: readonly string[],
  variables: Readonly<Record<string, string>>,
  parameters: readonly string[],
): string =>
  execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-e', '-c', steps.join('\n'), 'sh', ...parameters], {
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
  }).toString()

/** A file system of a kind, full of random files. Every third that can be is taken while mounted, as a backup would. */
export const freshFileSystem = async (
  kind: Kind,
  { seed, files, maxFileBytes }: FreshOptions,
): Promise<FreshFileSystem> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  try {
    return await fillFileSystem(kind, folder, { seed, files, maxFileBytes })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

const fillFileSystem = async (
  kind: Kind,
  folder: string,
  { seed, files, maxFileBytes }: FreshOptions,
): Promise<FreshFileSystem> => {
  const path = join(folder, 'image')
  const top = join(folder, 'top')
  const isDirty = seed % 3 === 2 && kind.mount !== undefined && kind.name !== 'ext2' && kind.isPlain !== true
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
    // mtools gives names without ASCII letters the short name of underscores, and refuses a file that is called so itself.
    for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' }))
      if (/(^|\/)_+$/.test(name)) rmSync(join(top, name), { recursive: true, force: true })
    const names = readdirSync(top).map(name => join(top, name))
    const env = { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' }
    if (names.length > 0) execFileSync('mcopy', ['-s', '-m', '-Q', '-i', path, ...names, '::/'], { env })
    entries = JSON.parse(python('show', top)) as ManifestEntry[]
  } else {
    const fill = [seed, files, maxFileBytes, kind.isPlain === true ? 'plain' : 'unix'].join(' ')
    // Shown mounted anew, for what is still in the page cache of its maker counts as data, reserved or not.
    const remount = [
      'sync -f "$TOP"',
      ...(isDirty ? ['cp --sparse=always "$IMAGE" "$IMAGE.dirty"'] : []),
      'umount "$TOP"',
      'mount -r "$@" "$IMAGE" "$TOP"',
    ].join('\n')
    const steps = [
      'mount "$@" "$IMAGE" "$TOP"',
      `python3 -IS "$SCRIPT" fill-and-show "$TOP" ${fill} "$REMOUNT" "$@"`,
      'umount "$TOP"',
    ]
    const variables = { IMAGE: path, TOP: top, SCRIPT: script, REMOUNT: remount }
    entries = JSON.parse(inOwnNamespace(steps, variables, mount)) as ManifestEntry[]
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
