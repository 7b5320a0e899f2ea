import { GranaryError } from '@granary/core'
import { serveNbd } from '@granary/nbd'
import type { NbdExport, NbdServer, ParsedListenAddress } from '@granary/nbd'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { lazyRepository } from '../lazy-repository.ts'
import { parseListenOption } from '../serving/listen-option.ts'
import { openExports } from '../serving/open-exports.ts'
import { readServerTls } from '../serving/server-tls.ts'
import { aborted, closeAll } from '../serving/until-told.ts'

/** Told to end, it ends within five seconds: what is left of them is for the overlays to become durable. */
const CLOSE_GRACE_MS = 2500

export const serve: Command = {
  name: 'serve',
  summary: 'serve disks over NBD, stored ones too: a machine boots from its backup at once',
  arguments: [{ name: '<DISK...>', description: 'what to serve, as for backup; one is the default export' }],
  options: [
    {
      flags: '--listen <ADDRESS>',
      description: 'nbd://HOST[:PORT], nbd+unix:///SOCKET, fd: (a socket handed over) or stdio:',
    },
    { flags: '--writable', description: 'let clients write; what is stored needs --overlay for that' },
    {
      flags: '--overlay <FILE>',
      description: 'qcow2 file that keeps what is written, made where there is none; once for each disk',
      values: 'file',
      isRepeated: true,
    },
    {
      flags: '--tls-certificates <DIR>',
      description: 'folder of ca-cert.pem, server-cert.pem and server-key.pem: only clients with a certificate get in',
      values: 'file',
    },
    {
      flags: '--tls-psk-file <FILE>',
      description: 'file of NAME:HEXKEY lines, as psktool makes it: only clients that hold one of the keys get in',
      values: 'file',
    },
    {
      flags: '--export <NAME>',
      description:
        'name of an export, in the order of the disks (default: none for one disk, else the names of the disks)',
      isRepeated: true,
    },
    { flags: '--bitmap <NAME>', description: 'show this dirty bitmap of the disks as qemu:dirty-bitmap:NAME' },
    ...IMAGE_OPTIONS,
  ],
  examples: [
    'granary serve granary:latest/web --listen nbd+unix:///run/web.sock --writable --overlay /vm/web-rescue.qcow2',
    'granary serve web.qcow2 --listen nbd://127.0.0.1:10809',
    'nbdcopy -- [ granary serve granary:latest --listen fd: ] web.raw',
  ],
  isService: true,
  async run(invocation) {
    const { terminal, signal } = invocation
    const certificates = textOption(invocation, 'tlsCertificates')
    const pskFile = textOption(invocation, 'tlsPskFile')
    const listen = listenOf(invocation, certificates !== undefined || pskFile !== undefined)
    await using repository = lazyRepository(invocation)
    const opened: AsyncDisposable[] = []
    try {
      const exports = await openExports(
        invocation.arguments[0] as readonly string[],
        {
          terminal,
          signal,
          openRepository: async () => await repository.open(),
          ...imageOptionsOf(invocation),
          isWritable: isGiven(invocation, 'writable'),
          overlays: listOption(invocation, 'overlay'),
          names: listOption(invocation, 'export'),
          bitmap: textOption(invocation, 'bitmap'),
        },
        opened,
      )
      const tls = await readServerTls({ certificates, pskFile })
      await using server = await serveNbd({
        exports,
        listen: listen.address,
        ...(tls === undefined ? {} : { tls }),
        limits: { closeGraceMs: CLOSE_GRACE_MS },
        onClientError: error => terminal.notice(`a client was cut off: ${error.message}`, { code: error.code }),
      })
      announce(invocation, listen, server, exports)
      await Promise.race([server.closed, aborted(signal)])
    } finally {
      await closeAll(opened)
    }
    return 0
  },
}

const listenOf = (invocation: Invocation, hasTls: boolean): ParsedListenAddress => {
  const text = textOption(invocation, 'listen')
  if (text === undefined)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'where to listen was not said', {
      hint: 'give --listen nbd+unix:///SOCKET, or --listen nbd://HOST',
    })
  const listen = parseListenOption(text, invocation.terminal.streams.env, process.pid)
  if (!listen.isTls || hasTls) return listen
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} needs --tls-certificates or --tls-psk-file`)
}

/** A socket that was handed over has no address, and standard output may belong to whoever handed it over. */
const announce = (
  { terminal }: Invocation,
  { address: { kind } }: ParsedListenAddress,
  server: NbdServer,
  exports: readonly NbdExport[],
): void => {
  if (kind === 'stdio') return
  const hasAddress = server.address !== undefined
  terminal.emit({
    type: 'listening',
    v: 1,
    exports: exports.map(({ name, description, disk, isWritable = false }) => ({
      name,
      source: description,
      sizeBytes: disk.sizeBytes,
      isWritable,
      ...(hasAddress ? { uri: server.uriOf(name) } : {}),
    })),
  })
  if (hasAddress) terminal.say(exports.map(({ name }) => server.uriOf(name)).join(' '))
}
