// NBD: our client beside nbdcopy from the same server, our server beside qemu-nbd feeding nbdcopy, and a sparse copy.
// Usage: node bench/nbd.mjs [--json] [--rounds 5] [--size-mib 1024]
// Every figure is the median of the rounds, taken in turns in one run; ratios above 1 are in our favour.
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdtempSync, openSync, read, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectNbd, serveNbd } from '@granary/nbd'

const MiB = 1024 * 1024
const SPAN_BYTES = 4 * MiB
const SPANS = 4
const CLOCK_TICKS_PER_SECOND = 100

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    'size-mib': { type: 'string', default: '1024' },
    serve: { type: 'string' },
    copy: { type: 'string' },
    connections: { type: 'string', default: '2' },
    'request-kib': { type: 'string', default: '512' },
    'in-flight-mib': { type: 'string', default: '8' },
  },
})

// ---- roles that run in a process of their own ----

/** A raw file as a disk, its extents taken for data: the server's own cost is the question here. */
const fileDisk = path => {
  const fd = openSync(path, 'r')
  const { size } = fstatSync(fd)
  const readFully = (offset, target) =>
    new Promise((resolve, reject) => {
      const more = filled =>
        read(fd, target, filled, target.length - filled, offset + filled, (error, count) => {
          if (error !== null || count === 0) reject(error ?? new Error('the file became shorter'))
          else if (filled + count === target.length) resolve()
          else more(filled + count)
        })
      more(0)
    })
  return {
    sizeBytes: size,
    blockBytes: 4096,
    read: readFully,
    async *extents({ offset = 0, length = size - offset } = {}) {
      yield { offset, length, kind: 'data' }
    },
    [Symbol.asyncDispose]: async () => closeSync(fd),
  }
}

const serve = async listen => {
  const [path, address] = listen.split('|')
  const server = await serveNbd({ exports: [{ name: '', disk: fileDisk(path) }], listen: address })
  process.once('SIGTERM', () => void server.close())
  await server.closed
  process.exit(0)
}

const spans = Array.from({ length: SPANS }, () => new Uint8Array(new SharedArrayBuffer(SPAN_BYTES)))

/** Reads all that is not zero, as a copy does, and lets the bytes drop. */
const readAll = async uri => {
  const disk = await connectNbd(uri, {
    connections: Number(options.connections),
    requestBytes: Number(options['request-kib']) * 1024,
    maxBytesInFlight: Number(options['in-flight-mib']) * MiB,
  })
  const free = [...spans]
  const busy = new Set()
  let dataBytes = 0
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind !== 'data') continue
    dataBytes += length
    for (let at = offset; at < offset + length; at += SPAN_BYTES) {
      while (free.length === 0) await Promise.race(busy)
      const span = free.pop()
      const job = disk.read(at, span.subarray(0, Math.min(SPAN_BYTES, offset + length - at))).then(() => {
        busy.delete(job)
        free.push(span)
      })
      busy.add(job)
    }
  }
  await Promise.all(busy)
  await disk[Symbol.asyncDispose]()
  return dataBytes
}

/** One warm process, as in a service or a backup of many disks; it answers each line with one measurement. */
const copyOnDemand = async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const startMs = performance.now()
    const cpu = process.cpuUsage()
    await readAll(line)
    const { user, system } = process.cpuUsage(cpu)
    console.log(JSON.stringify({ wall: (performance.now() - startMs) / 1000, cpu: (user + system) / 1e6 }))
  }
}

// ---- the measurements ----

const children = []
const start = (program, args, stdio = ['ignore', 'ignore', 'inherit']) => {
  const child = spawn(program, args, { stdio })
  children.push(child)
  return child
}

const untilListening = async where => {
  for (;;) {
    const isThere = await new Promise(resolve => {
      const socket = connect(where)
      socket.once('connect', () => resolve(socket.destroy() !== undefined)).once('error', () => resolve(false))
    })
    if (isThere) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

const freePort = async () => {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Wall and CPU seconds of a program, as its shell measures them. */
const measure = async (program, ...args) => {
  const command = 'TIMEFORMAT="%R %U %S"; time "$@"'
  const child = spawn('bash', ['-c', command, 'bash', program, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  let text = ''
  child.stderr.on('data', part => (text += part))
  const code = await new Promise(resolve => child.once('close', resolve))
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${text}`)
  const [wall, user, system] = text.trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu: user + system }
}

/** CPU seconds that a process and its threads have used. */
const cpuOf = pid => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
}

const ourClient = () => {
  const args = [fileURLToPath(import.meta.url), '--copy', 'on-demand', '--connections', options.connections]
  const child = start(process.execPath, [...args, '--request-kib', options['request-kib']], ['pipe', 'pipe', 'inherit'])
  return async uri => {
    child.stdin.write(`${uri}\n`)
    return JSON.parse(await new Promise(resolve => child.stdout.once('data', resolve)))
  }
}

const median = numbers => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** Runs the two in turns and gives their medians. */
const compare = async (name, theirs, ours) => {
  await theirs()
  await ours()
  const samples = { theirs: [], ours: [] }
  for (let round = 0; round < Number(options.rounds); round++) {
    samples.theirs.push(await theirs())
    samples.ours.push(await ours())
  }
  const of = (list, key) => median(list.map(sample => sample[key]))
  const [theirWall, ourWall] = [of(samples.theirs, 'wall'), of(samples.ours, 'wall')]
  const [theirCpu, ourCpu] = [of(samples.theirs, 'cpu'), of(samples.ours, 'cpu')]
  return {
    name,
    theirWall,
    ourWall,
    wallRatio: theirWall / ourWall,
    theirCpu,
    ourCpu,
    cpuRatio: theirCpu / ourCpu,
  }
}

/** A client's measurement, with the CPU of the server it used in place of its own. */
const withServerCpu = async (server, client) => {
  const before = cpuOf(server.pid)
  const { wall } = await client()
  return { wall, cpu: cpuOf(server.pid) - before }
}

const makeImage = async (path, sizeBytes, fillMib) => {
  const file = await open(path, 'w')
  await file.truncate(sizeBytes)
  const block = Buffer.alloc(MiB)
  for (let i = 0; i < fillMib; i++) {
    block.fill(i % 251 || 1)
    await file.write(block, 0, MiB, Math.floor((i * sizeBytes) / fillMib / MiB) * MiB)
  }
  await file.close()
}

const clients = async folder => {
  const image = join(folder, 'full.img')
  await makeImage(image, Number(options['size-mib']) * MiB, Number(options['size-mib']))
  const rows = []
  const copy = ourClient()
  const [unix, port] = [join(folder, 'q'), await freePort()]
  start('qemu-nbd', ['-t', '-e', '8', '-r', '-f', 'raw', '-k', unix, image])
  start('qemu-nbd', ['-t', '-e', '8', '-r', '-f', 'raw', '-b', '127.0.0.1', '-p', String(port), image])
  const [memory, memoryPort] = [join(folder, 'm'), await freePort()]
  start('nbdkit', ['-f', '-U', memory, 'memory', `${options['size-mib']}M`])
  start('nbdkit', ['-f', '-i', '127.0.0.1', '-p', String(memoryPort), 'memory', `${options['size-mib']}M`])
  const uris = {
    'qemu-nbd, unix': `nbd+unix:///?socket=${unix}`,
    'qemu-nbd, TCP': `nbd://127.0.0.1:${port}`,
    'nbdkit memory, unix': `nbd+unix:///?socket=${memory}`,
    'nbdkit memory, TCP': `nbd://127.0.0.1:${memoryPort}`,
  }
  await Promise.all([{ path: unix }, { path: memory }].map(untilListening))
  await Promise.all(
    [
      { host: '127.0.0.1', port },
      { host: '127.0.0.1', port: memoryPort },
    ].map(untilListening),
  )
  for (const name of ['nbdkit memory, unix', 'nbdkit memory, TCP']) await measure('nbdcopy', image, uris[name])
  for (const [name, uri] of Object.entries(uris))
    rows.push(
      await compare(
        `client: ${name}`,
        () => measure('nbdcopy', uri, 'null:'),
        () => copy(uri),
      ),
    )
  return { rows, copy, image, unix, port }
}

const servers = async (folder, { image, unix, port }) => {
  const rows = []
  const [ours, ourPort] = [join(folder, 'o'), await freePort()]
  const pairs = [
    {
      name: 'unix',
      theirs: `nbd+unix:///?socket=${unix}`,
      uri: `nbd+unix:///?socket=${ours}`,
      where: { path: ours },
    },
    {
      name: 'TCP',
      theirs: `nbd://127.0.0.1:${port}`,
      uri: `nbd://127.0.0.1:${ourPort}`,
      where: { host: '127.0.0.1', port: ourPort },
    },
  ]
  const theirServers = children.filter(child => child.spawnfile === 'qemu-nbd')
  for (const [i, { name, theirs, uri, where }] of pairs.entries()) {
    const server = start(process.execPath, [fileURLToPath(import.meta.url), '--serve', `${image}|${uri}`])
    await untilListening(where)
    rows.push(
      await compare(
        `server: feeding nbdcopy, ${name}`,
        () => withServerCpu(theirServers[i], () => measure('nbdcopy', theirs, 'null:')),
        () => withServerCpu(server, () => measure('nbdcopy', uri, 'null:')),
      ),
    )
  }
  return rows
}

/** @param copy of the process that has copied before: a fresh one would show how the engine compiles, for about 2 GiB */
const sparse = async (folder, copy) => {
  const image = join(folder, 'sparse.img')
  await makeImage(image, 64 * 1024 * MiB, 256)
  const socket = join(folder, 's')
  start('qemu-nbd', ['-t', '-e', '8', '-r', '-f', 'raw', '-k', socket, image])
  await untilListening({ path: socket })
  const uri = `nbd+unix:///?socket=${socket}`
  return [
    await compare(
      'client: 64 GiB sparse, 256 MiB of data',
      () => measure('nbdcopy', uri, 'null:'),
      () => copy(uri),
    ),
  ]
}

const main = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'))
  try {
    const { rows, ...places } = await clients(folder)
    rows.push(...(await servers(folder, places)), ...(await sparse(folder, places.copy)))
    if (options.json) for (const row of rows) console.log(JSON.stringify({ bench: 'nbd', ...row }))
    else {
      const seconds = value => value.toFixed(3)
      console.table(
        rows.map(row => ({
          what: row.name,
          'theirs s': seconds(row.theirWall),
          'ours s': seconds(row.ourWall),
          'wall ratio': row.wallRatio.toFixed(2),
          'theirs CPU s': seconds(row.theirCpu),
          'ours CPU s': seconds(row.ourCpu),
          'CPU ratio': row.cpuRatio.toFixed(2),
        })),
      )
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

if (options.serve !== undefined) await serve(options.serve)
else if (options.copy !== undefined) await copyOnDemand()
else await main()
