// Files out of disks: listing 100,000 files and reading one of 1 GiB, out of ext4, XFS and NTFS, beside the kernel (ntfs-3g
// for NTFS where the kernel has no driver) and 7-Zip, in one run.
// Usage: node bench/guestfs.mjs [--json] [--rounds 3] [--files 100000] [--size-mib 1024] [--kinds ext4,xfs,ntfs]
// It mounts, so it must be root. `read MiB` is what our reader asked the disk for.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openRawReader } from '@granary/core'
import { openVolumes } from '@granary/guestfs'
import { benchmark, hasProgram, measureFunction, measureProgram } from './harness.mjs'

const MiB = 1024 * 1024
const PIECE_BYTES = 4 * MiB

const { values: options } = parseArgs({
  strict: false,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '100000' },
    'size-mib': { type: 'string', default: '1024' },
    kinds: { type: 'string', default: 'ext4,xfs,ntfs' },
  },
})

const KINDS = {
  ext4: {
    mkfs: ['mkfs.ext4', '-q', '-F', '-i', '8192', '-E', 'lazy_itable_init=0'],
    mount: ['mount', '-o', 'loop,ro'],
    write: ['mount', '-o', 'loop'],
  },
  xfs: { mkfs: ['mkfs.xfs', '-q', '-f'], mount: ['mount', '-o', 'loop,ro'], write: ['mount', '-o', 'loop'] },
  ntfs: { mkfs: ['mkntfs', '-q', '-F', '-Q'], mount: ['ntfs-3g', '-o', 'ro'], write: ['ntfs-3g', '-o', 'big_writes'] },
}

// ---- measured in a process of their own ----

/** Counts what is asked of a disk. */
const counted = disk => {
  const counts = { bytes: 0, reads: 0 }
  const reader = {
    ...{ sizeBytes: disk.sizeBytes, blockBytes: disk.blockBytes },
    read: async (offset, target, readOptions) => {
      counts.bytes += target.length
      counts.reads++
      await disk.read(offset, target, readOptions)
    },
    extents: range => disk.extents(range),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  }
  return { reader, counts }
}

const withTree = async (path, run) => {
  const { reader, counts } = counted(await openRawReader(path))
  const set = await openVolumes([reader])
  const tree = await set.volumes[0].open()
  const found = await run(tree)
  await tree[Symbol.asyncDispose]()
  await reader[Symbol.asyncDispose]()
  const share = ((counts.bytes / reader.sizeBytes) * 100).toFixed(2)
  return { ...found, 'read MiB': (counts.bytes / MiB).toFixed(1), 'of disk': `${share} %`, reads: counts.reads }
}

export const listFiles = async ({ path }) =>
  await withTree(path, async tree => {
    let files = 0
    for await (const item of tree.walk()) if (item.kind === 'entry') files += item.stat.sizeBytes >= 0 ? 1 : 0
    return { files }
  })

export const readFile = async ({ path }) =>
  await withTree(path, async tree => {
    const file = await tree.open(await tree.lookup('/large'))
    const buffer = new Uint8Array(PIECE_BYTES)
    for (let at = 0; at < file.sizeBytes; at += PIECE_BYTES)
      await file.read(at, buffer.subarray(0, Math.min(PIECE_BYTES, file.sizeBytes - at)))
    return { files: 1 }
  })

// ---- the disks ----

const run = ([program, ...parameters]) => execFileSync(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] })

const FILL = `
import os, sys
top, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for folder in range((count + 999) // 1000):
    path = '%s/folder %04d' % (top, folder)
    os.mkdir(path)
    for index in range(min(1000, count - folder * 1000)):
        with open('%s/file number %04d.txt' % (path, index), 'wb') as file:
            file.write(b'x' * (index * 7 % 3000))
with open(top + '/large', 'wb') as file:
    for _ in range(size):
        file.write(os.urandom(1 << 20))
`

const makeDisk = (kind, path, top) => {
  const files = Number(options.files)
  const size = Number(options['size-mib'])
  writeFileSync(path, '')
  truncateSync(path, (size + 512 + Math.ceil((files * 8) / 1024)) * MiB)
  run([...KINDS[kind].mkfs, path])
  run([...KINDS[kind].write, path, top])
  try {
    run(['python3', '-c', FILL, top, String(files), String(size)])
  } finally {
    run(['umount', top])
  }
}

/** Mounts for one measurement: what the driver kept of an earlier one is gone. */
const mounted = (kind, path, top, measure) => async () => {
  run([...KINDS[kind].mount, path, top])
  try {
    return await measure()
  } finally {
    run(['umount', top])
  }
}

/** With mounts that nobody else sees: a copy of one in another process would keep its disk busy. */
const inOwnNamespace = () => {
  const words = ['-m', '--propagation', 'private', process.execPath, ...process.argv.slice(1)]
  const { status } = spawnSync('unshare', words, {
    stdio: 'inherit',
    env: { ...process.env, GRANARY_BENCH_MOUNTS: 'own' },
  })
  process.exitCode = status ?? 1
}

const main = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-bench-guestfs-'))
  const has7z = await hasProgram('7z')
  try {
    for (const kind of options.kinds.split(',')) {
      if (!(await hasProgram(KINDS[kind].mkfs[0]))) {
        console.error(`${kind}: ${KINDS[kind].mkfs[0]} is not here`)
        continue
      }
      const [path, top] = [join(folder, `${kind}.raw`), join(folder, 'top')]
      mkdirSync(top, { recursive: true })
      makeDisk(kind, path, top)
      const driver = kind === 'ntfs' ? 'ntfs-3g' : 'kernel mount'
      const columns = ['read MiB', 'of disk', 'reads']
      const list = benchmark({ name: `list ${options.files} files of ${kind}` })
      list.add('granary', () => measureFunction(import.meta.url, 'listFiles', { path }))
      const find = () => measureProgram('find', [top, '-printf', '%s %m %T@ %p\n'])
      list.add(driver, mounted(kind, path, top, find))
      if (has7z && kind !== 'xfs') list.add('7z', () => measureProgram('7z', ['l', path]))
      await list.run({ rounds: Number(options.rounds), reference: driver, columns })
      const read = benchmark({
        name: `read ${options['size-mib']} MiB of ${kind}`,
        unitBytes: Number(options['size-mib']) * MiB,
      })
      read.add('granary', () => measureFunction(import.meta.url, 'readFile', { path }))
      read.add(
        driver,
        mounted(kind, path, top, () =>
          measureProgram('dd', [`if=${top}/large`, 'of=/dev/null', 'bs=4M', 'status=none']),
        ),
      )
      if (has7z && kind !== 'xfs') read.add('7z', () => measureProgram('7z', ['x', '-so', path, 'large']))
      await read.run({ rounds: Number(options.rounds), reference: driver, columns })
      rmSync(path)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  if (process.env.GRANARY_BENCH_MOUNTS === 'own') await main()
  else inOwnNamespace()
}
