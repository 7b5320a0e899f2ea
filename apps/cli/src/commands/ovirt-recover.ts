import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import { readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import { parseListenAddress, serveNbd } from '@granary/nbd'
import type { NbdServer, ParsedListenAddress } from '@granary/nbd'
import type { DomainDisk, MachineRecord } from '@granary/ovirt-adapter'
import { listOption, textArgument, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { loadAdapter } from '../ovirt/open-ovirt.ts'
import { overlayPath } from '../ovirt/restore-source.ts'
import { openExports } from '../serving/open-exports.ts'
import { aborted, closeAll } from '../serving/until-told.ts'
import { parseListenOption } from '../serving/listen-option.ts'

/** As `granary serve`: what is left of five seconds is for the overlays to become durable. */
const CLOSE_GRACE_MS = 2500

export const ovirtRecover: Command = {
  name: 'ovirt recover',
  summary: 'run a machine straight from its backup: its disks over NBD, and a libvirt domain that boots from them',
  arguments: [
    { name: '<ID>', description: 'a snapshot, a unique beginning of its id, or "latest"' },
    { name: '<DIR>', description: 'folder for what the machine writes, for the domain, and for the socket' },
  ],
  options: [
    { flags: '--listen <ADDRESS>', description: 'nbd://HOST[:PORT] (default: a socket in the folder)' },
    { flags: '--name <NAME>', description: 'name of the domain (default: the machine, with -recovered)' },
    { flags: '--network <NAME>', description: 'libvirt network of its NICs (default: user networking, out only)' },
    { flags: '--disk <NAME>', description: 'only this disk', isRepeated: true },
  ],
  examples: [
    'granary ovirt recover latest /vm/web-recovered',
    'virsh create /vm/web-recovered/domain.xml',
    'granary ovirt restore latest --overlay /vm/web-recovered --config /etc/granary/ovirt.toml',
  ],
  isService: true,
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const { readMachineRecord } = await loadAdapter()
    const id = await resolveSnapshotId(repository.context, textArgument(invocation, 0), { signal })
    const snapshot = await readSnapshot(repository.context, id, { signal })
    const record = readMachineRecord(snapshot.machine)
    const asked = listOption(invocation, 'disk')
    const names = snapshot.disks.map(({ name }) => name).filter(name => asked.length === 0 || asked.includes(name))
    await serveMachine(invocation, repository, { id, record, names })
    return terminal.warnings > 0 ? 3 : 0
  },
}

interface Recovery {
  readonly id: string
  readonly record: MachineRecord
  readonly names: readonly string[]
}

const serveMachine = async (invocation: Invocation, repository: Repository, recovery: Recovery): Promise<void> => {
  const { terminal, signal } = invocation
  const folder = textArgument(invocation, 1)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw fromSystemError(error, `making the folder ${folder}`)
  })
  const opened: AsyncDisposable[] = []
  try {
    const exports = await openExports(
      recovery.names.map(name => `granary:${recovery.id}/${name}`),
      {
        terminal,
        signal,
        openRepository: async () => repository,
        isWritable: true,
        overlays: recovery.names.map(name => overlayPath(folder, name)),
        names: recovery.names,
      },
      opened,
    )
    await using server = await serveNbd({
      exports,
      listen: listenOf(invocation, folder).address,
      limits: { closeGraceMs: CLOSE_GRACE_MS },
      onClientError: error => terminal.notice(`a client was cut off: ${error.message}`, { code: error.code }),
    })
    await announce(invocation, server, { ...recovery, folder })
    await Promise.race([server.closed, aborted(signal)])
  } finally {
    await closeAll(opened)
  }
}

const listenOf = (invocation: Invocation, folder: string): ParsedListenAddress => {
  const text = textOption(invocation, 'listen')
  if (text !== undefined) return parseListenOption(text, invocation.terminal.streams.env, process.pid)
  return parseListenAddress(`nbd+unix:///?socket=${encodeURIComponent(join(folder, 'nbd.sock'))}`)
}

const announce = async (
  invocation: Invocation,
  server: NbdServer,
  { id, record, names, folder }: Recovery & { readonly folder: string },
): Promise<void> => {
  const { terminal } = invocation
  const { libvirtDomain } = await loadAdapter()
  const disks: DomainDisk[] = names.map(name => ({ name, exportName: name, server: placeOf(server) }))
  const name = textOption(invocation, 'name')
  const network = textOption(invocation, 'network')
  const domain = join(folder, 'domain.xml')
  const xml = libvirtDomain(record, {
    disks,
    snapshotId: id,
    ...(name === undefined ? {} : { name }),
    ...(network === undefined ? {} : { network }),
  })
  await writeFile(domain, xml, { mode: 0o600 }).catch((error: unknown) => {
    throw fromSystemError(error, `writing ${domain}`)
  })
  terminal.emit({
    type: 'recovering',
    v: 1,
    snapshot: id,
    domain,
    exports: names.map(disk => ({ disk, uri: server.uriOf(disk), overlay: overlayPath(folder, disk) })),
  })
  terminal.say(names.map(disk => server.uriOf(disk)).join('\n'))
  terminal.say(`boot it with: virsh create ${domain}`)
  terminal.say('it runs outside the management of its engine; what it writes stays in the folder')
  terminal.say(`when done, shut it down, end this, and: granary ovirt restore ${id.slice(0, 8)} --overlay ${folder}`)
}

/** @throws GranaryError `GRANARY_UNSUPPORTED` when what listens has no address for a domain to name */
const placeOf = ({ address }: NbdServer): DomainDisk['server'] => {
  if (address?.kind === 'unix') return { socketPath: resolve(address.path) }
  if (address?.kind === 'tcp') return { host: address.host, port: address.port }
  throw new GranaryError('GRANARY_UNSUPPORTED', 'a domain needs a socket or a port to find its disks at', {
    hint: 'leave --listen out, or give nbd://HOST:PORT',
  })
}
