import { writeFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { seededBytes, untilListening } from '@granary/testing'
import { connectNbd, serveNbd } from '../src/index.ts'
import { missing, startPeer, temporaryFolder } from './peers.ts'
import type { Peer, Teardown } from './peers.ts'

const MiB = 1024 * 1024
const skip = missing('nbdkit')

/** nbdkit with filters over a file of random bytes. */
const kit = async (t: Teardown, filters: readonly string[], args: readonly string[]) => {
  const folder = temporaryFolder(t)
  const [image, socket] = [join(folder, 'd.img'), join(folder, 's')]
  const bytes = seededBytes(4 * MiB, 6)
  writeFileSync(image, bytes)
  const names = filters.map(filter => `--filter=${filter}`)
  const start = async (): Promise<Peer> => {
    rmSync(socket, { force: true })
    const peer = startPeer(t, 'nbdkit', ['-f', '-U', socket, ...names, 'file', image, ...args])
    await untilListening({ path: socket })
    return peer
  }
  return { bytes, folder, image, start, peer: await start(), uri: `nbd+unix:///?socket=${socket}` }
}

t.test('nbdkit error filter: every error reaches its caller, and good reads stay good', { skip }, async t => {
  const { uri, bytes } = await kit(t, ['error'], ['error-pread=EIO', 'error-pread-rate=30%'])
  await using disk = await connectNbd(uri, { requestBytes: 65_536 })
  const results = await Promise.allSettled(
    Array.from({ length: 64 }, async (_, i) => {
      const target = new Uint8Array(65_536)
      await disk.read(i * 65_536, target)
      return Buffer.compare(target, bytes.subarray(i * 65_536, (i + 1) * 65_536)) === 0
    }),
  )
  const failed = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  t.ok(failed.length > 0 && failed.length < 64, `${failed.length} of 64 failed`)
  for (const { reason } of failed) t.match(reason, { code: 'GRANARY_IO', detail: { errno: 5 } })
  t.ok(results.every(result => result.status === 'rejected' || result.value))
  const whole = disk.read(0, new Uint8Array(4 * MiB))
  await t.rejects(whole, { code: 'GRANARY_IO' }, 'one bad piece fails the whole read')
})

t.test('nbdkit error filter: writes', { skip }, async t => {
  const { uri } = await kit(
    t,
    ['error'],
    ['error-pwrite=ENOSPC', 'error-pwrite-rate=100%', 'error-zero=EPERM', 'error-zero-rate=100%'],
  )
  await using disk = await connectNbd(uri)
  await t.rejects(disk.write(0, new Uint8Array(4096)), { code: 'GRANARY_NO_SPACE' })
  await t.rejects(disk.zero(0, 4096), { code: 'GRANARY_PERMISSION' })
  await disk.read(0, new Uint8Array(4096))
})

t.test('nbdkit delay filter: replies that take long are waited for; too long is a time-out', { skip }, async t => {
  const slow = await kit(t, ['delay'], ['rdelay=400ms'])
  await using patient = await connectNbd(slow.uri)
  await patient.read(0, new Uint8Array(MiB))
  // An answer that comes after all would not be too long on a machine that sleeps over it.
  const endless = await kit(t, ['delay'], ['rdelay=600'])
  await using hasty = await connectNbd(endless.uri, { timeoutMs: 100, reconnectAttempts: 0 })
  await t.rejects(hasty.read(0, new Uint8Array(4096)), { code: 'GRANARY_TIMEOUT' })
})

t.test('nbdkit rate filter: a slow stream that moves is no time-out', { skip }, async t => {
  // The first two seconds' worth come at once; the rest takes longer than the time-out.
  const { uri, bytes } = await kit(t, ['rate'], ['rate=6M'])
  await using disk = await connectNbd(uri, { timeoutMs: 1500, requestBytes: 65_536, reconnectAttempts: 0 })
  const target = new Uint8Array(4 * MiB)
  await disk.read(0, target)
  t.equal(Buffer.compare(target, bytes), 0)
})

t.test('nbdkit blocksize-policy filter: alignment is kept', { skip }, async t => {
  const policy = [
    'blocksize-minimum=4096',
    'blocksize-preferred=65536',
    'blocksize-maximum=131072',
    'blocksize-error-policy=error',
  ]
  const { uri, bytes } = await kit(t, ['blocksize-policy'], policy)
  await using disk = await connectNbd(uri)
  t.equal(disk.blockBytes, 4096)
  const target = new Uint8Array(1_000_001)
  await disk.read(12_345, target)
  t.equal(Buffer.compare(target, bytes.subarray(12_345, 1_012_346)), 0)
  const writes = Array.from({ length: 40 }, async (_, i) =>
    disk.write(10_000 + i * 777, new Uint8Array(777).fill(i + 1)),
  )
  await Promise.all(writes)
  await disk.zero(100_001, 300_000)
  await disk.read(0, target)
  for (let i = 0; i < 40; i++) bytes.fill(i + 1, 10_000 + i * 777, 10_000 + (i + 1) * 777)
  bytes.fill(0, 100_001, 400_001)
  t.equal(Buffer.compare(target, bytes.subarray(0, 1_000_001)), 0, 'neighbours in one block do not undo each other')
})

t.test(
  'nbdkit exitwhen filter: a server that wants to leave serves who is there, and turns away the next',
  { skip },
  async t => {
    const flag = join(temporaryFolder(t), 'exit')
    const { uri, peer, bytes } = await kit(t, ['exitwhen'], [`exit-when-file-created=${flag}`, 'exit-when-poll=1'])
    const options = { connections: 1, reconnectAttempts: 2, reconnectDelayMs: 10 }
    const disk = await connectNbd(uri, options)
    await disk.read(0, new Uint8Array(4096))
    writeFileSync(flag, '')
    const isRefused = async (): Promise<boolean> =>
      connectNbd(uri, options).then(
        async other => {
          await other[Symbol.asyncDispose]()
          return false
        },
        error => {
          t.match(error, { code: 'GRANARY_IO', retryable: true })
          return true
        },
      )
    while (!(await isRefused())) await new Promise(resolve => setTimeout(resolve, 50))
    const target = new Uint8Array(MiB)
    await disk.read(MiB, target)
    t.equal(Buffer.compare(target, bytes.subarray(MiB, 2 * MiB)), 0)
    const exited = new Promise(resolve => peer.process.once('exit', resolve))
    await disk[Symbol.asyncDispose]()
    t.equal(await exited, 0, 'our goodbye lets it end')
  },
)

t.test('reads go on after the server was killed and came back', { skip }, async t => {
  const { uri, bytes, peer, start } = await kit(t, ['rate'], ['rate=64M'])
  await using disk = await connectNbd(uri, { requestBytes: 65_536, reconnectDelayMs: 20, reconnectAttempts: 50 })
  const target = new Uint8Array(4 * MiB)
  const reading = disk.read(0, target)
  while (target[MiB] === 0) await new Promise(resolve => setImmediate(resolve))
  await peer.end()
  await start()
  await reading
  t.equal(Buffer.compare(target, bytes), 0)
})

t.test('a server that is gone for good is given up', { skip }, async t => {
  const { uri, peer } = await kit(t, [], [])
  await using disk = await connectNbd(uri, { reconnectAttempts: 3, reconnectDelayMs: 5 })
  await peer.end()
  await t.rejects(disk.read(0, new Uint8Array(512)), { code: 'GRANARY_IO', retryable: true })
})

t.test('waiting for a server to come back ends when the caller says so', { skip }, async t => {
  const { uri, peer } = await kit(t, [], [])
  await using disk = await connectNbd(uri, { reconnectAttempts: 1000, reconnectDelayMs: 1000 })
  await peer.end()
  const abort = new AbortController()
  const reading = disk.read(0, new Uint8Array(512), { signal: abort.signal })
  setImmediate(() => abort.abort(new Error('stop')))
  await t.rejects(reading, { message: 'stop' })
})

/** A disk with a volatile cache: what was not flushed is lost when it crashes. */
const volatileDisk = (durable: Uint8Array): { disk: DiskReader & DiskWriter; crash: () => void } => {
  const cache = durable.slice()
  return {
    disk: { ...memoryDisk(cache), flush: async () => durable.set(cache) },
    crash: () => cache.set(durable),
  }
}

const serveVolatile = async (t: Teardown, sizeBytes = MiB) => {
  const durable = new Uint8Array(sizeBytes)
  const { disk, crash } = volatileDisk(durable)
  const listen = { kind: 'unix', path: join(temporaryFolder(t), 's') } as const
  const start = async (served: DiskReader & DiskWriter = disk) =>
    serveNbd({ exports: [{ name: '', disk: served, isWritable: true }], listen, limits: { closeGraceMs: 0 } })
  let server = await start()
  t.teardown(async () => server.close())
  const restart = async (served?: DiskReader & DiskWriter): Promise<void> => {
    await server.close()
    crash()
    server = await start(served)
  }
  return { durable, restart, uri: server.uriOf() }
}

t.test('a server that dies with unflushed writes: the next flush says so', async t => {
  const { uri, restart } = await serveVolatile(t)
  await using disk = await connectNbd(uri, { reconnectDelayMs: 5 })
  await disk.write(0, new Uint8Array(4096).fill(1))
  await disk.flush()
  await restart()
  await disk.write(4096, new Uint8Array(4096).fill(2))
  await disk.flush()
  await restart()
  await disk.write(8192, new Uint8Array(4096).fill(3))
  await disk.write(12_288, new Uint8Array(4096).fill(4))
  await restart()
  await t.rejects(disk.flush(), { code: 'GRANARY_IO', retryable: false, detail: { writes: 2 } })
  await t.rejects(disk.flush(), { code: 'GRANARY_IO' }, 'and goes on saying so')
})

t.test('a server that dies with unflushed writes: with copies they are sent again, in order', async t => {
  const { uri, restart, durable } = await serveVolatile(t)
  await using disk = await connectNbd(uri, { reconnectDelayMs: 5, replayBytes: 200_000 })
  const wanted = new Uint8Array(MiB)
  for (let i = 0; i < 60; i++) {
    const [offset, length] = [(i * 37) % 900_000, 5000 + i * 100]
    const bytes = seededBytes(length, i)
    await disk.write(offset, bytes)
    wanted.set(bytes, offset)
    bytes.fill(0)
    if (i % 7 === 0) {
      await disk.zero(offset + 10, 1000)
      wanted.fill(0, offset + 10, offset + 1010)
    }
    if (i % 11 === 5) await restart()
  }
  await restart()
  await disk.flush()
  t.equal(Buffer.compare(durable, wanted), 0)
})

/** Stands between client and server, and can cut single connections. */
const cuttable = async (t: Teardown, uri: string): Promise<{ uri: string; sockets: Socket[] }> => {
  const path = join(temporaryFolder(t), 'p')
  const sockets: Socket[] = []
  const proxy = createServer(client => {
    const server = connect({ path: uri.replace(/^.*socket=/, '') })
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.pipe(server).pipe(client)
    client.on('close', () => server.destroy())
    sockets.push(client)
  })
  await new Promise<void>(resolve => proxy.listen(path, resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  return { uri: `nbd+unix:///?socket=${path}`, sockets }
}

for (const replayBytes of [0, MiB])
  t.test(`one of several connections is lost, replayBytes ${replayBytes}`, async t => {
    const { uri: direct, durable } = await serveVolatile(t)
    const { uri, sockets } = await cuttable(t, direct)
    await using disk = await connectNbd(uri, { reconnectDelayMs: 5, requestBytes: 4096, replayBytes })
    const target = new Uint8Array(MiB)
    while (disk.connections < 2) await disk.read(0, target)
    sockets[0]?.destroy()
    while (disk.connections === 2) await new Promise(resolve => setImmediate(resolve))
    await disk.read(0, target)
    t.ok(disk.connections >= 1, 'without unflushed writes the others go on')
    while (disk.connections < 2) await disk.read(0, target)

    const bytes = seededBytes(100_000, 1)
    await disk.write(5000, bytes)
    sockets.at(-1)?.destroy()
    while (disk.connections === 2) await new Promise(resolve => setImmediate(resolve))
    if (replayBytes === 0) await t.rejects(disk.flush(), { code: 'GRANARY_IO', message: /may have lost/ })
    else {
      await disk.flush()
      t.equal(Buffer.compare(durable.subarray(5000, 105_000), bytes), 0)
    }
  })

t.test('requests that a closing server refuses go to the one that follows', async t => {
  const { uri, restart } = await serveVolatile(t)
  await using disk = await connectNbd(uri, { reconnectDelayMs: 5, reconnectAttempts: 20 })
  let isDone = false
  const reading = (async () => {
    const target = new Uint8Array(4096)
    for (let i = 0; !isDone; i++) {
      await disk.read((i * 4096) % MiB, target)
      await disk.write((i * 4096) % MiB, target)
    }
  })()
  for (let i = 0; i < 10; i++) await restart()
  isDone = true
  await t.resolves(reading)
})

t.test('an export that changed its size meanwhile is not the same disk', async t => {
  const { uri, restart } = await serveVolatile(t)
  await using disk = await connectNbd(uri, { reconnectDelayMs: 5 })
  await restart(memoryDisk(new Uint8Array(2 * MiB)))
  await t.rejects(disk.read(0, new Uint8Array(512)), { code: 'GRANARY_SIZE' })
})

t.test('a closed disk refuses, and options out of range are named', async t => {
  const { uri } = await serveVolatile(t)
  const disk = await connectNbd(uri)
  await disk[Symbol.asyncDispose]()
  await t.rejects(disk.read(0, new Uint8Array(512)), { code: 'GRANARY_INVALID_ARGUMENT', message: /closed/ })
  for (const options of [{ connections: 0 }, { requestBytes: 1 }, { timeoutMs: 0.5 }, { replayBytes: -1 }])
    await t.rejects(connectNbd(uri, options), { code: 'GRANARY_INVALID_ARGUMENT' }, JSON.stringify(options))
  const abort = AbortSignal.abort(new Error('stop'))
  await t.rejects(connectNbd(uri, { signal: abort }), { message: 'stop' })
})
