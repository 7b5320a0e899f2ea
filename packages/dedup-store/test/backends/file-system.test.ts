/** The file backend on file systems that are odd, full, read-only or failing. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fileBackend, nodeFileSystem, openBackend } from '@granary/dedup-store'
import type { Backend, FileSystemPort } from '@granary/dedup-store'
import { seededBytes } from '@granary/testing'

const systemFailure = (code: string): Error => Object.assign(new Error(code), { code })

const keysOf = async (backend: Backend): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of backend.list('')) keys.push(key)
  return keys
}

const filesUnder = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => entry.name)

/** The real file system with some calls replaced. */
const withCalls = (calls: (real: FileSystemPort) => Partial<FileSystemPort>): FileSystemPort => {
  const real = nodeFileSystem()
  return { ...real, ...calls(real) }
}

t.test('files and folders are their owner’s alone, and lie where the format says', async t => {
  const root = join(t.testdir({}), 'deep', 'repository')
  const backend = fileBackend(root)
  await backend.probe()
  t.same(await readdir(root), [], 'the probe leaves nothing')
  await backend.put('packs/7f3c-1', Buffer.from('pack'))
  await backend.put('commit/7f3c', Buffer.from('commit'), { ifAbsent: true })
  const modeOf = async (path: string): Promise<number> => (await stat(join(root, path))).mode & 0o777
  t.equal(await modeOf('packs/7f/7f3c-1'), 0o600)
  t.equal(await modeOf('commit/7f3c'), 0o600)
  for (const folder of ['.', 'packs', 'packs/7f', 'commit']) t.equal(await modeOf(folder), 0o700, folder)
})

t.test('what else lies in the folder is left alone, and links to folders are followed', async t => {
  const folder = t.testdir({
    repository: { 'lost+found': {}, README: 'x', '.hidden': { a: 'x' }, packs: { stray: 'x' }, UPPER: { a: 'x' } },
  })
  const root = join(folder, 'repository')
  const backend = fileBackend(root)
  await backend.put('packs/ab-1', Buffer.from('x'))
  await backend.put('index/a', Buffer.from('x'))
  await rename(join(root, 'index'), join(folder, 'elsewhere'))
  await symlink(join(folder, 'elsewhere'), join(root, 'index'))
  t.same(await keysOf(backend), ['index/a', 'packs/ab-1'])
  await backend.put('index/b', Buffer.from('x'))
  t.same(await keysOf(backend), ['index/a', 'index/b', 'packs/ab-1'])
  t.equal(await backend.sweep(async () => false), 0)
})

t.test('a shortened file is noticed', async t => {
  const root = t.testdir({})
  const backend = fileBackend(root)
  await backend.put('index/a', seededBytes(1000, 1))
  await truncate(join(root, 'index/a'), 600)
  await t.rejects(backend.get('index/a', { offset: 500, length: 101 }), {
    code: 'GRANARY_CORRUPT',
    detail: { sizeBytes: 600 },
  })
  const shrinking = withCalls(real => ({
    open: async path => ({
      ...(await real.open(path)),
      stat: async () => ({ ...(await real.stat(path)), sizeBytes: 1000 }),
    }),
  }))
  await t.rejects(
    fileBackend(root, { fs: shrinking }).get('index/a'),
    { code: 'GRANARY_CORRUPT' },
    'also while it is read',
  )
})

t.test('short writes and reads are carried on with', async t => {
  const root = t.testdir({})
  const fs = withCalls(real => ({
    create: async path => {
      const file = await real.create(path)
      return { ...file, write: async (bytes, offset) => await file.write(bytes.subarray(0, 7), offset) }
    },
    open: async path => {
      const file = await real.open(path)
      return { ...file, read: async (target, offset) => await file.read(target.subarray(0, 11), offset) }
    },
  }))
  const content = seededBytes(1000, 1)
  await fileBackend(root, { fs }).put('a/b', [content.subarray(0, 10), content.subarray(10)])
  t.same(await readFile(join(root, 'a/b')), Buffer.from(content))
  t.same(Buffer.from(await fileBackend(root, { fs }).get('a/b')), Buffer.from(content))
})

t.test('a put that fails at any call leaves what was there', async t => {
  const root = t.testdir({})
  await fileBackend(root).put('a/b', Buffer.from('before'))
  const failingFile = (call: 'write' | 'sync' | 'close' | 'stat', code: string): FileSystemPort =>
    withCalls(real => ({
      create: async path => {
        const file = await real.create(path)
        const fail = async (): Promise<never> => {
          if (call === 'close') await file.close()
          throw systemFailure(code)
        }
        return { ...file, [call]: fail }
      },
    }))
  const cases: [string, FileSystemPort, string][] = [
    [
      'create ENOSPC',
      withCalls(() => ({ create: async () => await Promise.reject(systemFailure('ENOSPC')) })),
      'GRANARY_NO_SPACE',
    ],
    [
      'create ENOENT',
      withCalls(() => ({ create: async () => await Promise.reject(systemFailure('ENOENT')) })),
      'GRANARY_IO',
    ],
    ['write EDQUOT', failingFile('write', 'EDQUOT'), 'GRANARY_NO_SPACE'],
    ['write EIO', failingFile('write', 'EIO'), 'GRANARY_IO'],
    ['stat ESTALE', failingFile('stat', 'ESTALE'), 'GRANARY_IO'],
    ['fsync EIO', failingFile('sync', 'EIO'), 'GRANARY_IO'],
    ['close ENOSPC', failingFile('close', 'ENOSPC'), 'GRANARY_NO_SPACE'],
    [
      'rename EROFS',
      withCalls(() => ({ rename: async () => await Promise.reject(systemFailure('EROFS')) })),
      'GRANARY_PERMISSION',
    ],
    [
      'link EACCES',
      withCalls(() => ({ link: async () => await Promise.reject(systemFailure('EACCES')) })),
      'GRANARY_PERMISSION',
    ],
    [
      'takes nothing',
      withCalls(real => ({ create: async path => ({ ...(await real.create(path)), write: async () => 0 }) })),
      'GRANARY_IO',
    ],
    [
      'wrong size',
      withCalls(real => ({
        create: async path => ({
          ...(await real.create(path)),
          stat: async () => ({ ...(await real.stat(path)), sizeBytes: 3 }),
        }),
      })),
      'GRANARY_IO',
    ],
  ]
  for (const [name, fs, code] of cases)
    for (const ifAbsent of [false, true]) {
      if (name.startsWith(ifAbsent ? 'rename' : 'link')) continue
      const backend = fileBackend(root, { fs })
      const error = await backend
        .put(ifAbsent ? 'a/c' : 'a/b', Buffer.from('after!'), { ifAbsent })
        .catch((error: unknown) => error)
      t.match(error, { code }, `${name}, ifAbsent ${ifAbsent}`)
      t.same(await filesUnder(root), ['b'], 'no other file')
      t.equal(await readFile(join(root, 'a/b'), 'utf8'), 'before')
    }
})

t.test('once a folder could not be made durable, nothing is called durable any more', async t => {
  const root = t.testdir({})
  let isFailing = false
  const fs = withCalls(real => ({
    syncFolder: async path => {
      if (isFailing) throw systemFailure('EIO')
      await real.syncFolder(path)
    },
  }))
  const backend = fileBackend(root, { fs })
  await backend.put('a/1', Buffer.from('x'))
  await backend.put('a/2', Buffer.from('x'), { durable: false })
  isFailing = true
  await t.rejects(backend.sync(), { code: 'GRANARY_IO' })
  isFailing = false
  await t.rejects(backend.sync(), { code: 'GRANARY_IO' }, 'a second fsync proves nothing')
  await t.rejects(backend.put('a/3', Buffer.from('x')), { code: 'GRANARY_IO' })
  await t.resolves(fileBackend(root, { fs }).sync(), 'opened anew')
})

t.test('a link whose answer was lost still counts, and one that was lost to another does not', async t => {
  const root = t.testdir({})
  for (const code of ['EEXIST', 'EIO']) {
    const lossy = withCalls(real => ({
      link: async (source, target) => {
        await real.link(source, target)
        throw systemFailure(code)
      },
    }))
    t.equal(
      await fileBackend(root, { fs: lossy }).put(`commit/${code.toLowerCase()}`, Buffer.from('x'), { ifAbsent: true }),
      'stored',
    )
  }
  t.equal(await fileBackend(root).put('commit/eio', Buffer.from('x'), { ifAbsent: true }), 'exists')
  t.same((await filesUnder(root)).toSorted(), ['eexist', 'eio'])
})

t.test('a storage that vanishes, or turns into another, is an error and no empty storage', async t => {
  const folder = t.testdir({})
  const root = join(folder, 'mount')
  await mkdir(root)
  const backend = fileBackend(root)
  await backend.put('a/b', Buffer.from('x'))
  const calls: Record<string, () => Promise<unknown>> = {
    'put in a known folder': async () => await backend.put('a/c', Buffer.from('x')),
    'put in a new folder': async () => await backend.put('z/c', Buffer.from('x')),
    get: async () => await backend.get('a/b'),
    stat: async () => await backend.stat('a/b'),
    delete: async () => await backend.delete('a/b'),
    list: async () => await keysOf(backend),
  }
  await rename(root, join(folder, 'gone'))
  for (const [name, call] of Object.entries(calls)) await t.rejects(call, { code: 'GRANARY_IO' }, `gone: ${name}`)
  await t.rejects(stat(root), { code: 'ENOENT' }, 'and is not made anew')
  const late = fileBackend(root)
  await t.rejects(late.put('a/b', Buffer.from('x')), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(late.get('a/b'), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(keysOf(late), { code: 'GRANARY_NOT_FOUND' })
  await mkdir(root)
  for (const [name, call] of Object.entries(calls)) await t.rejects(call, { code: 'GRANARY_IO' }, `another: ${name}`)
  t.same(await readdir(root), [])
  await rm(root, { recursive: true })
  await rename(join(folder, 'gone'), root)
  t.same(await keysOf(backend), ['a/b'], 'and back')
})

t.test('a storage that vanishes while it is listed is no shorter listing', async t => {
  const root = t.testdir({ repository: {} })
  const mount = join(root, 'repository')
  let isGone = false
  const fs = withCalls(real => ({
    readFolder: async path => {
      if (isGone) throw systemFailure('ENOENT')
      return await real.readFolder(path)
    },
    stat: async path => {
      if (isGone) throw systemFailure('ENOENT')
      return await real.stat(path)
    },
  }))
  const backend = fileBackend(mount, { fs })
  for (const key of ['a/1', 'b/1', 'c/1']) await backend.put(key, Buffer.from('x'))
  await t.rejects(
    (async () => {
      for await (const { key } of backend.list('')) isGone = key === 'b/1'
    })(),
    { code: 'GRANARY_IO' },
  )
})

t.test('what stands in the way is said', async t => {
  const root = t.testdir({ file: 'x', folder: { file: 'x' } })
  await t.rejects(fileBackend(join(root, 'file')).probe(), { code: 'GRANARY_EXISTS' })
  await t.rejects(fileBackend(join(root, 'file', 'below')).probe(), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(fileBackend(root).put('file/a', Buffer.from('x')), { code: 'GRANARY_IO' })
  await t.rejects(fileBackend(root).put('folder', Buffer.from('x')), { code: 'GRANARY_IO' })
  await t.rejects(fileBackend(root).delete('folder'), { code: /^GRANARY_/ })
  t.same((await filesUnder(root)).toSorted(), ['file', 'file'])
})

t.test('without locks on a machine a writer is neither alive nor dead', async t => {
  const root = t.testdir({})
  const backend = fileBackend(root, { fs: nodeFileSystem(Promise.resolve(undefined)) })
  const held = await backend.hold('s-1')
  t.equal(await backend.isHeld('s-1'), undefined)
  t.equal(await fileBackend(root).isHeld('s-1'), undefined, 'not to others either')
  await held[Symbol.asyncDispose]()
})

t.test('a lock that is free says its holder is dead only on the machine that took it', async t => {
  const root = t.testdir({})
  const backend = fileBackend(root)
  const held = await backend.hold('s-1')
  const holder = JSON.parse(await readFile(join(root, '.locks/s-1'), 'utf8').catch(() => '{}')) as Record<
    string,
    string
  >
  await held[Symbol.asyncDispose]()
  const taken: Record<string, [holder: unknown, isHeld: boolean | undefined]> = {
    'same-boot': [{ ...holder, machine: 'x' }, false],
    'before-restart': [{ ...holder, kernel: 'x' }, holder['machine'] ? false : undefined],
    elsewhere: [{ kernel: 'x', machine: 'y' }, undefined],
    nowhere: [{ kernel: '', machine: '' }, undefined],
    odd: [7, undefined],
  }
  const canTell = 'kernel' in holder
  for (const [name, [content, isHeld]] of Object.entries(taken)) {
    await writeFile(join(root, '.locks', name), JSON.stringify(content))
    t.equal(await backend.isHeld(name), canTell ? isHeld : undefined, name)
  }
  await writeFile(join(root, '.locks/empty'), '')
  t.equal(await backend.isHeld('empty'), undefined)
  await (await backend.hold('elsewhere'))[Symbol.asyncDispose]()
})

t.test('a file system that breaks the rules of decisions is refused', async t => {
  const root = t.testdir({})
  const overwriting = withCalls(real => ({
    link: async (source, target) => {
      await rm(target, { force: true })
      await real.link(source, target)
    },
  }))
  await t.rejects(fileBackend(root, { fs: overwriting }).probe(), {
    code: 'GRANARY_UNSUPPORTED',
    detail: { feature: 'exclusive hard links' },
  })
  for (const code of ['EPERM', 'ENOTSUP']) {
    const linkless = withCalls(() => ({ link: async () => await Promise.reject(systemFailure(code)) }))
    await t.rejects(fileBackend(root, { fs: linkless }).probe(), {
      code: 'GRANARY_UNSUPPORTED',
      detail: { feature: 'hard links' },
    })
  }
  const cannotSync = withCalls(() => ({ syncFolder: async () => await Promise.reject(systemFailure('EINVAL')) }))
  await t.rejects(fileBackend(root, { fs: cannotSync }).probe(), {
    code: 'GRANARY_UNSUPPORTED',
    detail: { feature: 'fsync of folders' },
  })
  const full = withCalls(() => ({ create: async () => await Promise.reject(systemFailure('ENOSPC')) }))
  await t.rejects(fileBackend(root, { fs: full }).probe(), { code: 'GRANARY_NO_SPACE' })
  t.same(await readdir(root), [])
})

t.test('a location names its backend', async t => {
  const root = t.testdir({})
  t.equal((await openBackend(root)).location, root)
  t.equal((await openBackend(`file://${root}`)).location, root)
  t.equal((await openBackend('memory:')).location, 'memory:')
  t.equal((await openBackend('./s3:x')).location, join(process.cwd(), 's3:x'))
  const refused = await openBackend('s3://key:secret@host/bucket').catch((error: unknown) => error)
  t.match(refused, { code: 'GRANARY_UNSUPPORTED', detail: { known: 'file:, memory:' } })
  t.notMatch(JSON.stringify([refused, (refused as Error).message, (refused as { hint?: string }).hint]), /secret/)
  await t.rejects(openBackend('constructor:x'), { code: 'GRANARY_UNSUPPORTED' })
  await t.rejects(openBackend('file://other-host/x'), { code: 'GRANARY_INVALID_ARGUMENT' })
  await t.rejects(openBackend(''), { code: 'GRANARY_INVALID_ARGUMENT' })
})

const run = (program: string, ...parameters: string[]): void =>
  void execFileSync(program, parameters, { stdio: 'ignore' })

/** Mounts on a fresh folder what `mount` makes of these arguments; undefined where that is not allowed or possible. */
const tryMount = async (makeArguments: (folder: string) => string[]): Promise<string | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-mount-'))
  const point = join(folder, 'point')
  await mkdir(point)
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  try {
    run('mount', ...makeArguments(folder), point)
  } catch {
    return undefined
  }
  t.teardown(() => run('umount', point))
  return point
}

const smallMount = await tryMount(() => ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'])
t.test(
  'a full file system is an error and changes nothing',
  { skip: smallMount ? false : 'needs the right to mount' },
  async t => {
    const backend = fileBackend(join(smallMount as string, 'repository'))
    await backend.probe()
    await backend.put('packs/aa-1', seededBytes(500_000, 1))
    for (const ifAbsent of [false, true])
      await t.rejects(backend.put('packs/aa-2', seededBytes(800_000, 2), { ifAbsent }), { code: 'GRANARY_NO_SPACE' })
    t.same(await filesUnder(smallMount as string), ['aa-1'])
    t.same(Buffer.from(await backend.get('packs/aa-1')), Buffer.from(seededBytes(500_000, 1)))
    t.equal(await backend.put('packs/aa-2', seededBytes(300_000, 2)), 'stored', 'what fits still goes in')
    run('mount', '-o', 'remount,ro', smallMount as string)
    await t.rejects(backend.put('packs/aa-3', Buffer.from('x')), { code: 'GRANARY_PERMISSION' })
    await t.rejects(backend.delete('packs/aa-1'), { code: 'GRANARY_PERMISSION' })
    t.same(await keysOf(backend), ['packs/aa-1', 'packs/aa-2'])
  },
)

const fatMount = await tryMount(folder => {
  const image = join(folder, 'fat.img')
  run('truncate', '-s', '4M', image)
  run('mkfs.vfat', image)
  return ['-o', 'loop', image]
})
t.test(
  'a file system without hard links is refused with the reason',
  { skip: fatMount ? false : 'needs mkfs.vfat, vfat in the kernel and the right to mount' },
  async t => {
    await writeFile(join(fatMount as string, 'other'), 'x')
    await t.rejects(fileBackend(fatMount as string).probe(), {
      code: 'GRANARY_UNSUPPORTED',
      detail: { feature: 'hard links' },
    })
    t.same(await readdir(fatMount as string), ['other'])
  },
)
