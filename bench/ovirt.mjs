// imageio: our client beside the same bytes over bare sockets of Node; and a first full of the raw file, beside one of the same
// bytes through imageio, and one of a machine of a simulated engine. The servers run in a process of their own; CPU and
// memory are those of the client. The engine's clock runs 20 times as fast: it looks at its backups every ten seconds, which
// takes a first full of a machine a constant three or four seconds here. So the rate is told as well of the time in which
// data moved: from the first read to the last pack, without the start of a process, its key, and the engine's turns.
//   node bench/ovirt.mjs [--json] [--mib=1024] [--rounds=3] [--folder=DIR]
import { spawn } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { openRawReader } from '@granary/core'
import { backup, initRepository, openBackend, openRepository } from '@granary/dedup-store'
import { Engine, Journal, backupVms, chooseVms, openImageDisk, parseOvirtConfig } from '@granary/ovirt-adapter'
import {
  createAuthority,
  createRealClock,
  createSimulator,
  openBackendByUrl,
  startImageio,
} from '@granary/ovirt-simulator'
import { benchmark, measureFunction } from './harness.mjs'

const MiB = 2 ** 20
const READ_BYTES = 4 * MiB
const CONNECTIONS = 4
const TICKET = '7d1e9c50-0000-4000-8000-000000000001'
const CLOCK_SPEED = 20
const SECRET = { kind: 'passphrase', passphrase: 'bench' }

const option = (name, otherwise) =>
  process.argv.find(word => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise

// ---- the servers: a simulated imageio, and sockets that send a part of the same file to whoever asks ----

const sendPart = path => socket => {
  socket.on('error', () => undefined)
  socket.once('data', async line => {
    const [offset, length] = line.toString().split(' ').map(Number)
    const file = await open(path, 'r')
    const buffers = [Buffer.alloc(MiB), Buffer.alloc(MiB)]
    let sent = Promise.resolve()
    for (let at = offset, turn = 0; at < offset + length; at += MiB, turn++) {
      const buffer = buffers[turn % 2]
      await file.read(buffer, 0, MiB, at)
      await sent
      sent = new Promise(resolve => socket.write(buffer, resolve))
    }
    await sent
    await file.close()
    socket.end()
  })
}

/** An engine with one machine, whose disk is the file. */
const startEngine = async (folder, originMs) => {
  const clock = createRealClock({ speed: CLOCK_SPEED, originMs })
  const simulator = await createSimulator({ dir: join(folder, 'engine'), clock })
  const { inventory, site } = simulator
  const sizeBytes = statSync(join(folder, 'disk.raw')).size
  const disk = { storageDomainId: site.storageDomains[0].id, sizeBytes }
  const vm = await inventory.addVm({ name: 'bench', clusterId: site.clusterId, disks: [disk] })
  const [diskId] = vm.attachments.keys()
  await using(openRawReader(join(folder, 'disk.raw')), async source => {
    const buffer = new Uint8Array(READ_BYTES)
    for (let at = 0; at < sizeBytes; at += READ_BYTES) {
      await source.read(at, buffer)
      await simulator.image(diskId).write(at, buffer)
    }
  })
  return { engineUrl: simulator.url, engineCa: simulator.ca, credentials: simulator.credentials, originMs }
}

const serve = async folder => {
  const path = join(folder, 'disk.raw')
  const authority = createAuthority('bench')
  const identity = authority.issue({ names: ['localhost', '127.0.0.1'] })
  const byUrl = openBackendByUrl()
  const daemon = await startImageio({
    clock: createRealClock(),
    certificate: identity,
    localSocket: join(folder, 'imageio.sock'),
    openBackend: async (url, ticket) => ({ ...(await byUrl(url, ticket)), kind: 'nbd' }),
  })
  daemon.addTicket({ uuid: TICKET, size: statSync(path).size, ops: ['read'], timeout: 86_400, url: `file://${path}` })
  const bareTls = createTlsServer({ ...identity, minVersion: 'TLSv1.2' }, sendPart(path)).listen(0, 'localhost')
  const barePlain = createServer(sendPart(path)).listen(join(folder, 'bare.sock'))
  await Promise.all([once(bareTls, 'listening'), once(barePlain, 'listening')])
  process.once('disconnect', () => process.exit())
  const engine = await startEngine(folder, Date.now())
  process.send({ url: daemon.urlOf(TICKET), ca: authority.cert, port: bareTls.address().port, ...engine })
}

// ---- what is measured, each in a fresh process ----

/** Bare sockets: what the machine and Node can do at best. */
export const readBare = async ({ port, ca, folder, sizeBytes, isLocal }) => {
  const share = sizeBytes / CONNECTIONS
  const target = new Uint8Array(new SharedArrayBuffer(READ_BYTES))
  const readShare = async index => {
    const socket = isLocal ? connect(join(folder, 'bare.sock')) : tlsConnect({ host: 'localhost', port, ca })
    socket.write(`${index * share} ${share}`)
    let received = 0
    socket.on('data', chunk => {
      target.set(chunk, received % (READ_BYTES / 2))
      received += chunk.length
    })
    await once(socket, 'end')
    if (received !== share) throw new Error(`${received} bytes of ${share}`)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, index) => readShare(index)))
}

/** Closes what was opened, whatever happens. */
const using = async (opening, work) => {
  const opened = await opening
  try {
    return await work(opened)
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

const openImage = ({ url, ca }, isLocalAllowed) =>
  openImageDisk({ transferUrl: url, ca, isLocalAllowed, connections: CONNECTIONS })

/** The same bytes, as a backup reads them. */
export const readImage = ({ isLocal, ...where }) =>
  using(openImage(where, isLocal), async image => {
    if (image.way !== (isLocal ? 'local' : 'host')) throw new Error(`goes by way of ${image.way}`)
    let next = 0
    const readSome = async () => {
      const target = new Uint8Array(new SharedArrayBuffer(READ_BYTES))
      for (let at = next; at < image.sizeBytes; at = next) {
        next += READ_BYTES
        await image.read(at, target)
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, readSome))
  })

const withRepository = async (folder, work) => {
  const store = mkdtempSync(join(folder, 'repository-'))
  const backend = await openBackend(store)
  await initRepository(backend, SECRET)
  const result = await using(openRepository(backend, SECRET), work)
  rmSync(store, { recursive: true })
  return result
}

const secondsSince = startMs => Math.round(performance.now() - startMs) / 1000

const backUp = (disk, folder) =>
  withRepository(folder, async repository => {
    const startMs = performance.now()
    await backup(repository, [{ name: 'disk', source: 'disk', disk }], { name: 'bench', workers: 1 })
    return { dataSeconds: secondsSince(startMs) }
  })

export const backUpRaw = ({ folder }) => using(openRawReader(join(folder, 'disk.raw')), disk => backUp(disk, folder))

export const backUpImage = where => using(openImage(where, false), disk => backUp(disk, where.folder))

export const backUpMachine = ({ folder, engineUrl, engineCa, credentials, originMs }) =>
  withRepository(folder, async repository => {
    const clock = createRealClock({ speed: CLOCK_SPEED, originMs })
    const lines = [
      `engine ${engineUrl}`,
      `username ${credentials.username}`,
      `password ${credentials.password}`,
      'imagetransfer_inactivity_timeout 500',
      `journal_folder ${join(folder, 'journal')}`,
    ]
    const { config } = await parseOvirtConfig(lines.join('\n'), { path: 'bench', format: 'conf' })
    const { username, password } = credentials
    let [startMs, dataSeconds] = [0, 0]
    await using(new Engine({ url: engineUrl, username, password, apiCa: engineCa, clock }), engine =>
      using(Journal.open({ folder: config.journalFolder, clock }), async journal => {
        const openImage = options => openImageDisk({ ...options, isLocalAllowed: false, clock })
        const context = { engine, repository, journal, settings: config, openImage }
        const [result] = await backupVms(context, {
          vms: await chooseVms(engine, { names: ['bench'] }),
          workers: 1,
          onStep(_vm, step) {
            if (step === 'reading') startMs = performance.now()
            if (step === 'ending') dataSeconds = secondsSince(startMs)
          },
        })
        if (result.error !== undefined) throw result.error
      }),
    )
    return { dataSeconds }
  })

// ---- the measurements ----

/** Unique bytes of which a half compresses, in the page cache. */
const makeDisk = (path, sizeBytes) => {
  const file = openSync(path, 'wx')
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  for (let at = 0; at < sizeBytes; at += MiB) {
    const bytes = cipher.update(Buffer.alloc(MiB))
    for (let block = 0; block < MiB; block += 8192) bytes.fill(bytes[block], block, block + 4096)
    writeSync(file, bytes, 0, MiB, at)
  }
  closeSync(file)
}

const main = async () => {
  const sizeBytes = Number(option('mib', '1024')) * MiB
  const rounds = Number(option('rounds', '3'))
  const folder = mkdtempSync(join(option('folder', tmpdir()), 'granary-ovirt-'))
  const path = join(folder, 'disk.raw')
  makeDisk(path, sizeBytes)
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), `--serve=${folder}`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  try {
    const [where] = await once(server, 'message')
    const parameters = { ...where, folder, sizeBytes }
    const measure = (name, more) => () => measureFunction(import.meta.url, name, { ...parameters, ...more })
    for (const [name, isLocal] of [
      ['imageio over TLS', false],
      ['imageio over its local socket', true],
    ]) {
      const bench = benchmark({ name, unitBytes: sizeBytes })
      bench.add('bare sockets of Node', measure('readBare', { isLocal }))
      bench.add('imageio client', measure('readImage', { isLocal }))
      await bench.run({ rounds, reference: 'bare sockets of Node' })
    }
    const full = benchmark({ name: 'a first full', unitBytes: sizeBytes })
    full.add('of the raw file', measure('backUpRaw'))
    full.add('through imageio, TLS', measure('backUpImage'))
    full.add('of a machine, by its engine', measure('backUpMachine'))
    await full.run({ rounds, reference: 'of the raw file', columns: ['dataSeconds'] })
  } finally {
    server.disconnect()
    await once(server, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
}

if (option('serve') !== undefined) await serve(option('serve'))
else if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
