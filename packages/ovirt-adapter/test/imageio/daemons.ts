/** The real imageio daemon and our simulated one, started alike: tickets by the control socket, images by qemu-nbd. */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRealClock, openBackendByUrl, startImageio } from '@granary/ovirt-simulator'
import { freePort, projectPath } from '@granary/testing'
import { makeCertificates } from './certificates.ts'

export interface RunningDaemon extends AsyncDisposable {
  readonly port: number
  readonly ca: string
  /** @returns the status of the control API's answer */
  control(method: 'PUT' | 'PATCH' | 'DELETE', ticketId: string, body?: object): Promise<number>
}

export type StartDaemon = (folder: string) => Promise<RunningDaemon>

const control =
  (socketPath: string): RunningDaemon['control'] =>
  async (method, ticketId, body) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { 'content-length': Buffer.byteLength(text) }
    const call = request({ socketPath, method, path: `/tickets/${ticketId}`, headers })
    call.end(text)
    const [response] = await once(call, 'response')
    response.resume()
    return response.statusCode
  }

export const startSimulated: StartDaemon = async folder => {
  const certificates = makeCertificates(folder)
  const controlSocket = join(folder, 'control.sock')
  const daemon = await startImageio({
    clock: createRealClock(),
    certificate: certificates,
    localSocket: join(folder, 'local.sock'),
    controlSocket,
    openBackend: openBackendByUrl({ bitmap: 'since' }),
  })
  const { port } = daemon
  const close = async (): Promise<void> => await daemon[Symbol.asyncDispose]()
  return { port, ca: certificates.ca, control: control(controlSocket), [Symbol.asyncDispose]: close }
}

/** Where `.ci/run` puts it, or on the path. */
const findImageio = (): string | undefined =>
  [projectPath('.venv', 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)]
    .map(folder => join(folder, 'ovirt-imageio'))
    .find(path => existsSync(path))

/** Why the real daemon cannot be run here, or false. */
export const whyNoImageio = (): string | false =>
  findImageio() === undefined ? 'ovirt-imageio is not installed: pip install ovirt-imageio into .venv' : false

export const startReal: StartDaemon = async folder => {
  const { ca, caFile } = makeCertificates(folder)
  const port = await freePort()
  const at = (name: string): string => join(folder, name)
  mkdirSync(at('conf.d'), { recursive: true })
  writeFileSync(
    at('conf.d/test.conf'),
    `[daemon]
run_dir = ${folder}
drop_privileges = false
systemd_enable = false
[tls]
key_file = ${at('key.pem')}
cert_file = ${at('cert.pem')}
ca_file = ${caFile}
[remote]
host = 127.0.0.1
port = ${port}
[local]
socket = ${at('local.sock')}
[control]
socket = ${at('control.sock')}
remove_timeout = 5
[handlers]
keys = stderr
[logger_root]
level = WARNING
handlers = stderr
`,
  )
  const daemon = spawn(findImageio() ?? '', ['--conf-dir', folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  daemon.stderr?.on('data', (part: Buffer) => (log += part.toString()))
  await untilListening({ host: '127.0.0.1', port }, daemon, () => log)
  await untilListening({ path: at('control.sock') }, daemon, () => log)
  return {
    port,
    ca,
    control: control(at('control.sock')),
    [Symbol.asyncDispose]: async () => await stop(daemon),
  }
}

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill()
  await once(child, 'exit')
}

const untilListening = async (
  where: { path: string } | { host: string; port: number },
  child: ChildProcess,
  log: () => string,
): Promise<void> => {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${log()}`)
    const socket = connect(where as { path: string })
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isThere) return
    await sleep(20) // Another process starts: there is nothing to wait on.
  }
}

const run = (program: string, ...args: string[]): void => void execFileSync(program, args, { stdio: 'pipe' })

/** Why there is no QEMU here, or false. */
export const whyNoQemu = (): string | false => {
  const isThere = (process.env['PATH'] ?? '').split(delimiter).some(folder => existsSync(join(folder, 'qemu-nbd')))
  return isThere ? false : 'qemu-utils is not installed'
}

export interface ServedImage extends AsyncDisposable {
  /** For a ticket. */
  readonly url: string
  /** The content, after the server has ended. */
  readBack(): Promise<Buffer>
}

export interface ImageRecipe {
  readonly folder: string
  readonly name: string
  readonly sizeBytes: number
  /** Commands of qemu-io. */
  readonly writes?: readonly string[]
  /** Commands of qemu-io after a bitmap was begun, which is then served. */
  readonly changes?: readonly string[]
  readonly isReadOnly: boolean
}

/** A qcow2 image served by qemu-nbd as vdsm serves one. CONTRACT §6.10 */
export const serveImage = async (recipe: ImageRecipe): Promise<ServedImage> => {
  const { folder, name, sizeBytes, writes = [], changes, isReadOnly } = recipe
  const image = join(folder, `${name}.qcow2`)
  const socket = join(folder, `${name}.sock`)
  run('qemu-img', 'create', '-q', '-f', 'qcow2', image, String(sizeBytes))
  const write = (command: string): void => run('qemu-io', '-f', 'qcow2', '-c', command, image)
  for (const command of writes) write(command)
  if (changes !== undefined) {
    run('qemu-img', 'bitmap', '--add', '-f', 'qcow2', image, 'since')
    for (const command of changes) write(command)
  }
  const options = ['--persistent', '--shared=0', '--allocation-depth', '--export-name=', '--format=qcow2', '-k', socket]
  const mode = isReadOnly ? ['--read-only'] : ['--discard=unmap', '--detect-zeroes=unmap']
  const bitmap = changes === undefined ? [] : ['--bitmap=since']
  const server = spawn('qemu-nbd', [...options, ...mode, ...bitmap, image], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  server.stderr?.on('data', (part: Buffer) => (log += part.toString()))
  await untilListening({ path: socket }, server, () => log)
  return {
    url: `nbd:unix:${socket}`,
    async readBack() {
      await stop(server)
      run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, `${image}.raw`)
      return readFileSync(`${image}.raw`)
    },
    [Symbol.asyncDispose]: async () => await stop(server),
  }
}
