import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import { memoryDisk } from '@granary/core'
import { connectNbd, serveNbd } from '@granary/nbd'
import {
  cleanEnvironment,
  granaryPath,
  parseJsonLines,
  runGranary,
  seededBytes,
  sharedPath,
  startGranary,
  untilListening,
} from '@granary/testing'
import type { GranaryProcess } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

t.setTimeout(600_000) // Many programs, one after another, on machines that do other things too.

const MIB = 1024 * 1024
const makePki = sharedPath('guest-vm', 'make-pki.sh')

interface Listening {
  readonly uri: string
  readonly exports: readonly { readonly name: string; readonly uri: string; readonly isWritable: boolean }[]
  readonly process: GranaryProcess
  /** Sends a signal. @returns the exit code and how long the end took, ms */
  end(signal?: NodeJS.Signals): Promise<{ code: number; stderr: string; elapsedMs: number }>
}

/** Starts `granary serve`, and resolves when it listens. */
const startServe = async (t: Test, words: readonly string[], env: Record<string, string> = {}): Promise<Listening> => {
  const running = startGranary(['serve', ...words, '--json'], { env, output: 'unread' })
  t.teardown(() => running.child.kill('SIGKILL'))
  const lines = createInterface({ input: running.child.stdout as Readable })
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => text as string),
    running.done.then(({ stderr }) => {
      throw new Error(`serve ended: ${stderr}`)
    }),
  ])
  const [{ exports } = { exports: [] }] = parseJsonLines(`${line}\n`) as unknown as Listening[]
  return {
    uri: exports[0]?.uri ?? '',
    exports,
    process: running,
    async end(signal = 'SIGTERM') {
      const startMs = performance.now()
      running.child.kill(signal)
      const { code, stderr } = await running.done
      return { code, stderr, elapsedMs: performance.now() - startMs }
    },
  }
}

/** A repository with one disk of 12 MiB: data, a hole, data. */
const storeDisk = async (
  t: Test,
): Promise<{ folder: string; repo: string; raw: string; bytes: Buffer; env: Record<string, string> }> => {
  const { folder, repo, env } = await createRepository(t)
  const raw = join(folder, 'vm.raw')
  writeFileSync(raw, seededBytes(4 * MIB, 1))
  truncateSync(raw, 10 * MIB)
  writeFileSync(raw, seededBytes(2 * MIB, 2), { flag: 'a' })
  t.equal((await granary(['backup', raw], { env })).code, 0)
  return { folder, repo, raw, bytes: readFileSync(raw), env }
}

t.test(
  'a stored disk is served, pinned and read-only, until SIGTERM ends it and takes the socket along',
  { skip: whyNo('qemu-img', 'qemu-io', 'nbdinfo', 'nbdcopy') },
  async t => {
    const { folder, repo, raw, bytes, env } = await storeDisk(t)
    const socket = join(folder, 'vm.sock')
    const server = await startServe(t, ['granary:latest/vm', '--listen', `nbd+unix://${socket}`], env)
    t.equal(server.uri, `nbd+unix:///?socket=${socket}`)
    t.same(
      server.exports.map(({ name, isWritable }) => ({ name, isWritable })),
      [{ name: '', isWritable: false }],
    )
    t.equal(readdirSync(join(repo, 'pins')).length, 1, 'pinned')
    t.match(await peer('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, server.uri), 'identical')
    const [info] = (JSON.parse(await peer('nbdinfo', '--json', server.uri)) as { exports: object[] }).exports
    t.match(info, { 'export-size': 12 * MIB, is_read_only: true, 'export-name': '' })
    const map = JSON.parse(await peer('nbdinfo', '--map', '--json', server.uri)) as { length: number; type: number }[]
    t.equal(
      map.filter(({ type }) => type === 3).reduce((sum, { length }) => sum + length, 0),
      6 * MIB,
      'its hole is one',
    )
    const copy = join(folder, 'copy.raw')
    await peer('nbdcopy', server.uri, copy)
    t.ok(readFileSync(copy).equals(bytes))
    await t.rejects(peer('qemu-io', '-f', 'raw', '-c', 'write 0 4k', server.uri), 'nobody writes')

    const { code, elapsedMs, stderr } = await server.end()
    t.equal(code, 0, stderr)
    t.ok(elapsedMs < 5000, `${elapsedMs} ms`)
    t.notOk(existsSync(socket))
    t.same(readdirSync(join(repo, 'pins')), [])
  },
)

t.test(
  'what is written goes to the overlay, is there after a restart, and the base stays as it was',
  { skip: whyNo('qemu-img', 'qemu-io') },
  async t => {
    const { folder, raw, env } = await storeDisk(t)
    const [socket, overlay] = [join(folder, 'vm.sock'), join(folder, 'vm.qcow2')]
    const words = ['granary:latest/vm', '--listen', `nbd+unix://${socket}`, '--writable', '--overlay', overlay]
    const first = await startServe(t, words, env)
    const io = async (...commands: string[]): Promise<string> =>
      await peer('qemu-io', '-f', 'raw', ...commands.flatMap(command => ['-c', command]), first.uri)
    await io('write -P 7 1000k 100k', 'write -P 9 6M 3k', 'write -z 2M 1M', 'flush')
    const check = async (): Promise<void> => {
      const said = await io('read -P 7 1000k 100k', 'read -P 9 6M 3k', 'read -P 0 6147k 61k', 'read -P 0 2M 1M')
      t.notMatch(said, /verification failed|error/i)
    }
    await check()
    const busy = await runGranary(['serve', ...words.with(2, `nbd+unix://${socket}2`)], { env })
    t.equal(busy.code, 12, 'one process at a time')
    t.match(busy.stderr, /GRANARY_LOCKED/)
    t.equal((await first.end('SIGINT')).code, 0)

    const second = await startServe(t, words, env)
    await check()
    second.process.child.kill('SIGKILL')
    await second.process.done
    t.ok(existsSync(socket), 'a killed one leaves its socket')
    const third = await startServe(t, words, env)
    await check()
    const image = join(folder, 'out.qcow2')
    t.equal((await granary(['copy', third.uri, `qcow2:${image}`])).code, 0)
    t.match(await peer('qemu-img', 'compare', '-f', 'raw', third.uri, image), 'identical')
    t.equal((await third.end()).code, 0)
    t.equal((await granary(['check', `qcow2:${overlay}`])).code, 0, '0 errors, 0 leaks')

    t.equal((await granary(['restore', 'latest', `raw:${folder}/base.raw`], { env })).code, 0)
    t.ok(readFileSync(join(folder, 'base.raw')).equals(readFileSync(raw)), 'the stored disk')
    const other = await granary(['serve', raw, '--listen', `nbd+unix://${socket}`, '--writable', '--overlay', overlay])
    t.match(other, { code: 2, stderr: /lies over granary:/ }, 'an overlay of another disk')
    await t.rejects(peer('qemu-img', 'convert', '-O', 'raw', overlay, join(folder, 'wrong.raw')), 'QEMU shows no zeros')
  },
)

t.test('nbdcopy starts it by socket activation', { skip: whyNo('nbdcopy') }, async t => {
  const { folder, bytes, env } = await storeDisk(t)
  const target = join(folder, 'out.raw')
  const server = ['[', process.execPath, granaryPath(), 'serve', 'granary:latest', '--listen', 'fd:', ']']
  const options = { encoding: 'utf8', env: cleanEnvironment(env) } as const
  const toNull = spawnSync('nbdcopy', ['--', ...server, 'null:'], options)
  t.equal(toNull.status, 0, toNull.stderr)
  const toFile = spawnSync('nbdcopy', ['--', ...server, target], options)
  t.equal(toFile.status, 0, toFile.stderr)
  t.ok(readFileSync(target).equals(bytes))
  t.match(await granary(['serve', 'granary:latest', '--listen', 'fd:'], { env }), { code: 2, stderr: /handed over/ })
})

t.test('an export is a disk: backup, copy, map, info, and a target', { skip: whyNo('qemu-img') }, async t => {
  const { folder, bytes, env } = await storeDisk(t)
  const target = join(folder, 'target.raw')
  writeFileSync(target, '')
  truncateSync(target, 12 * MIB)
  const source = await startServe(t, ['granary:latest', '--listen', 'nbd://127.0.0.1:0', '--export', 'a b'], env)
  t.match(source.uri, /^nbd:\/\/127\.0\.0\.1:\d+\/a%20b$/)
  const sink = await startServe(t, [`raw:${target}`, '--listen', `nbd+unix://${folder}/sink.sock`, '--writable'])
  t.match(parseJsonLines((await granary(['info', source.uri, '--json'])).text), [
    { format: 'nbd', sizeBytes: 12 * MIB, isReadOnly: true, path: source.uri },
  ])
  const map = parseJsonLines((await granary(['map', source.uri, '--json'])).text)
  t.equal(map.filter(({ data }) => data === false).length, 1)
  t.equal((await granary(['backup', source.uri, '--name', 'through', '--disk-name', 'd'], { env })).code, 0)
  t.ok((await granary(['restore', 'latest/d', '-'], { env })).stdout.equals(bytes))
  t.match(await granary(['copy', source.uri, sink.uri]), { code: 11, stderr: /--overwrite-different/ })
  t.equal((await granary(['copy', source.uri, sink.uri, '--overwrite-different'])).code, 0)
  t.ok(readFileSync(target).equals(bytes))
  t.match(await granary(['copy', source.uri, source.uri, '--overwrite-different']), { code: 2 }, 'onto itself')
  t.match(await granary(['restore', 'latest/d', source.uri, '--overwrite-different'], { env }), { code: 0 })
  writeFileSync(target, seededBytes(MIB, 9), { flag: 'r+' })
  t.equal((await granary(['restore', 'latest/d', sink.uri, '--overwrite-different'], { env })).code, 0)
  t.ok(readFileSync(target).equals(bytes), 'restored into an export')
  t.equal((await source.end()).code, 0)
  t.equal((await sink.end()).code, 0)
})

t.test('an export that fails in the middle leaves no copy, and no snapshot', { skip: whyNo('nbdkit') }, async t => {
  const { folder, env } = await createRepository(t)
  const [socket, image] = [join(folder, 's'), join(folder, 'vm.img')]
  writeFileSync(image, seededBytes(16 * MIB, 1))
  const errors = ['error-pread=EIO', 'error-pread-rate=100%', `error-pread-file=${join(folder, 'fail')}`]
  const kit = spawn('nbdkit', ['-f', '-U', socket, '--filter=error', 'file', image, ...errors], { stdio: 'ignore' })
  t.teardown(() => kit.kill('SIGKILL'))
  await untilListening({ path: socket })
  const uri = `nbd+unix:///?socket=${socket}`
  t.equal((await granary(['copy', uri, join(folder, 'good.raw')])).code, 0)
  t.ok(readFileSync(join(folder, 'good.raw')).equals(readFileSync(image)))
  writeFileSync(join(folder, 'fail'), '')
  t.match(await granary(['copy', uri, join(folder, 'bad.raw')]), { code: 22, stderr: /EIO to READ/ })
  t.match(await granary(['backup', uri], { env }), { code: 22, stderr: /EIO to READ/ })
  t.equal((await granary(['snapshots', '--json'], { env })).text, '')
  t.same(readdirSync(folder).toSorted(), ['fail', 'good.raw', 'key', 'repo', 's', 'vm.img'])
})

t.test('a disk that hangs holds up no end', async t => {
  const disk = memoryDisk(new Uint8Array(4 * MIB))
  let isAsked = (): void => undefined
  const asked = new Promise<void>(resolve => (isAsked = resolve))
  const hanging: typeof disk = {
    ...disk,
    async write(_offset, _bytes, options) {
      isAsked()
      await new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    },
  }
  const exports = [{ name: '', disk: hanging, isWritable: true }]
  const limits = { closeGraceMs: 0 }
  await using source = await serveNbd({ exports, listen: 'nbd://127.0.0.1:0', limits })
  const server = await startServe(t, [source.uriOf(), '--writable', '--listen', 'nbd://127.0.0.1:0'])
  const client = await connectNbd(server.uri, { reconnectAttempts: 0 })
  const writing = client.write(0, new Uint8Array(MIB))
  await asked
  const [{ code, elapsedMs }] = await Promise.all([server.end(), t.rejects(writing, { code: 'GRANARY_IO' })])
  t.equal(code, 0)
  t.ok(elapsedMs < 5000, `${elapsedMs} ms`)
  await client[Symbol.asyncDispose]()
})

t.test('several disks are served by their names; a bitmap shows', { skip: whyNo('qemu-img', 'nbdinfo') }, async t => {
  const folder = scratchFolder(t)
  for (const name of ['one', 'two']) {
    await peer('qemu-img', 'create', '-q', '-f', 'qcow2', join(folder, `${name}.qcow2`), '1M')
    await peer('qemu-img', 'bitmap', '--add', join(folder, `${name}.qcow2`), 'b0')
  }
  const disks = ['one', 'two'].map(name => join(folder, `${name}.qcow2`))
  const server = await startServe(t, [...disks, '--listen', `nbd+unix://${folder}/s`, '--bitmap', 'b0'])
  t.same(
    server.exports.map(({ name }) => name),
    ['one', 'two'],
  )
  const { exports } = JSON.parse(await peer('nbdinfo', '--json', server.uri)) as { exports: { contexts: string[] }[] }
  t.match(exports[0]?.contexts, ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:b0'])
  t.equal((await server.end()).code, 0)
})

t.test('the depth of a chain shows', { skip: whyNo('qemu-img', 'qemu-io', 'nbdinfo') }, async t => {
  const folder = scratchFolder(t)
  const [base, top] = [join(folder, 'base.qcow2'), join(folder, 'top.qcow2')]
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', base, '3M')
  await peer('qemu-io', '-c', 'write -P 1 1M 1M', base)
  await peer('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', top)
  await peer('qemu-io', '-c', 'write -P 2 0 1M', top)
  const server = await startServe(t, [top, '--listen', `nbd+unix://${folder}/s`])
  const map = JSON.parse(await peer('nbdinfo', '--map=qemu:allocation-depth', '--json', server.uri)) as object[]
  t.match(map, [
    { offset: 0, length: MIB, type: 1 },
    { offset: MIB, length: MIB, type: 2 },
    { offset: 2 * MIB, length: MIB, type: 0 },
  ])
  t.equal((await server.end()).code, 0)
})

t.test('what a server says of itself never steers the terminal', async t => {
  const disk = memoryDisk(new Uint8Array(4096))
  const description = '\u001b[2Jgone\u009b31m'
  await using server = await serveNbd({ exports: [{ name: '', disk, description }], listen: 'nbd://127.0.0.1:0' })
  const shown = await granary(['info', server.uriOf()])
  t.match(shown, { code: 0, text: '\\u{1b}[2Jgone\\u{9b}31m' })
  // oxlint-disable-next-line no-control-regex -- they are what must not come
  t.notMatch(shown.text, /[\u001b\u009b]/)
  t.match(parseJsonLines((await granary(['info', server.uriOf(), '--json'])).text), [{ description }])
})

t.test(
  'with certificates only clients that have one get in',
  { skip: makePki === undefined ? 'needs ../shared/guest-vm' : whyNo('certtool', 'psktool', 'nbdinfo', 'nbdcopy') },
  async t => {
    const { folder, bytes, env } = await storeDisk(t)
    const pki = join(folder, 'pki')
    await peer('bash', makePki as string, pki)
    const words = ['granary:latest', '--listen', 'nbd://localhost:0', '--tls-certificates', pki]
    const server = await startServe(t, words, env)
    t.match(server.uri, /^nbds:/)
    const target = join(folder, 'out.raw')
    await peer('nbdcopy', `${server.uri}?tls-certificates=${pki}`, target)
    t.ok(readFileSync(target).equals(bytes))
    const { text } = await granary([
      'copy',
      `${server.uri}?tls-certificates=${pki}`,
      `raw:${folder}/ours.raw`,
      '--json',
    ])
    t.notMatch(text, /tls-certificates/)
    t.ok(readFileSync(join(folder, 'ours.raw')).equals(bytes))
    await t.rejects(peer('nbdinfo', server.uri.replace('nbds:', 'nbd:')), 'plain')
    t.equal((await server.end()).code, 0)
  },
)

t.test(
  'with a key file only clients that hold a key get in',
  { skip: whyNo('psktool', 'nbdinfo', 'nbdcopy') },
  async t => {
    const { folder, bytes, env } = await storeDisk(t)
    const keys = join(folder, 'keys.psk')
    await peer('psktool', '--username', 'alice', '--pskfile', keys)
    const server = await startServe(t, ['granary:latest', '--listen', 'nbd://127.0.0.1:0', '--tls-psk-file', keys], env)
    t.match(server.uri, /^nbds:/)
    const asAlice = `${server.uri.replace('nbds://', 'nbds://alice@')}?tls-psk-file=${keys}`
    await peer('nbdcopy', asAlice, join(folder, 'out.raw'))
    t.ok(readFileSync(join(folder, 'out.raw')).equals(bytes))
    await granary(['copy', asAlice, `raw:${folder}/ours.raw`])
    t.ok(readFileSync(join(folder, 'ours.raw')).equals(bytes))
    const other = join(folder, 'other.psk')
    await peer('psktool', '--username', 'alice', '--pskfile', other)
    await t.rejects(peer('nbdinfo', asAlice.replace(keys, other)), 'another key under the same name')
    await t.rejects(peer('nbdinfo', asAlice.replace('alice', 'mallory')), 'another name')
    await t.rejects(peer('nbdinfo', server.uri.replace('nbds:', 'nbd:')), 'plain')
    t.equal((await server.end()).code, 0)
  },
)

t.test('what does not fit together is refused before anything listens', async t => {
  const { folder, raw, env } = await storeDisk(t)
  const socket = join(folder, 's.sock')
  const listen = ['--listen', `nbd+unix://${socket}`]
  for (const [words, reason] of [
    [['granary:latest', ...listen, '--writable'], /--overlay/],
    [['granary:latest', ...listen, '--overlay', join(folder, 'o.qcow2')], /--writable/],
    [['granary:latest', ...listen, '--bitmap', 'b0'], /no bitmaps/],
    [['granary:latest'], /--listen/],
    [[raw, '--listen', 'nbds://127.0.0.1:0'], /--tls-certificates or --tls-psk-file/],
    [[raw, ...listen, '--tls-certificates', folder, '--tls-psk-file', raw], /exclude each other/],
    [[raw, ...listen, '--writable', '--overlay', raw], /read from/],
    [[raw, ...listen, '--export', 'a', '--export', 'b'], /2 export names for 1 disks/],
    [[raw, '--listen', 'http://127.0.0.1'], /NBD URI/],
  ] as const)
    t.match(await granary(['serve', ...words], { env }), { code: 2, stderr: reason, text: '' }, String(reason))
  t.same(readdirSync(folder).toSorted(), ['key', 'repo', 'vm.raw'])

  const taken = createServer().listen(socket)
  await once(taken, 'listening')
  t.match(await granary(['serve', raw, ...listen]), { code: 12, stderr: /another server listens/ })
  await new Promise(resolve => taken.close(resolve))
  writeFileSync(socket, 'mine')
  t.equal((await granary(['serve', raw, ...listen])).code, 11)
  t.equal(readFileSync(socket, 'utf8'), 'mine')
})
