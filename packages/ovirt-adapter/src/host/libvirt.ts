/**
 * libvirt through `virsh`: the one client of it that every host has, with the credentials and transports of that host.
 *
 * @see docs/decisions/0042-virsh.md
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { parseDomain } from './domain-xml.ts'
import type { Domain } from './domain-xml.ts'
import { runProgram } from './run-program.ts'
import type { ProgramCommand, RunProgramOptions } from './run-program.ts'

export interface LibvirtOptions {
  /** Such as `qemu+ssh://root@host/system` or `qemu:///system?authfile=/etc/granary/virsh.conf`. @default 'qemu:///system' */
  readonly uri?: string
  /** @default ['virsh'] */
  readonly command?: ProgramCommand
}

/** The job a domain is at: libvirt allows one. Numbers are bytes. */
export type DomainJob =
  | { readonly kind: 'none' }
  | { readonly kind: 'backup'; readonly scratchBytes: number }
  | { readonly kind: 'other' }

/** One libvirt daemon. Domains are named by their UUID, which on these platforms is the id of the VM. */
export class Libvirt {
  readonly uri: string
  readonly #command: ProgramCommand

  constructor({ uri = 'qemu:///system', command = ['virsh'] }: LibvirtOptions = {}) {
    this.uri = uri
    this.#command = command
  }

  /** The whole command line that runs `parameters`, for a child of its own. */
  commandLine(...parameters: readonly string[]): ProgramCommand {
    // Messages are matched and passed on: in one language, wherever we run.
    return ['env', 'LC_ALL=C', ...this.#command, '--quiet', '--connect', this.uri, ...parameters]
  }

  /**
   * Runs one command.
   *
   * @returns what it printed
   * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such domain here, `GRANARY_IO` (retryable) when no daemon answers,
   * else `GRANARY_REMOTE` with libvirt's own words
   */
  async run(parameters: readonly string[], options: RunProgramOptions = {}): Promise<string> {
    const result = await runProgram(this.commandLine(...parameters), options)
    if (result.code === 0) return result.stdout
    throw libvirtError(result.stderr, parameters[0] ?? '')
  }

  /** `running`, `paused`, `shut off` and the like; `absent` when the daemon does not know the domain. */
  async state(uuid: string, options: AbortOptions = {}): Promise<string> {
    return (await orAbsent(this.run(['domstate', uuid], options)))?.trim() ?? 'absent'
  }

  /** True while the domain has a QEMU on this host, running or paused. */
  async isActive(uuid: string, options: AbortOptions = {}): Promise<boolean> {
    return !['absent', 'shut off'].includes(await this.state(uuid, options))
  }

  /** True when QEMU paused the domain because a write failed. */
  async isPausedByError(uuid: string): Promise<boolean> {
    return (await orAbsent(this.run(['domstate', uuid, '--reason'])))?.includes('paused (I/O error)') === true
  }

  /** The domain as it runs. */
  async domain(uuid: string, options: AbortOptions = {}): Promise<Domain> {
    return parseDomain(await this.run(['dumpxml', uuid], options))
  }

  /** Sizes of a disk in the domain: what the guest sees, and what the file or device below has. */
  async diskSizes(
    uuid: string,
    target: string,
    options: AbortOptions = {},
  ): Promise<{ readonly capacityBytes: number; readonly physicalBytes: number }> {
    const fields = fieldsOf(await this.run(['domblkinfo', uuid, target], options))
    return { capacityBytes: Number(fields.get('Capacity')), physicalBytes: Number(fields.get('Physical')) }
  }

  async job(uuid: string, options: AbortOptions = {}): Promise<DomainJob> {
    if (!(await this.isActive(uuid, options))) return { kind: 'none' }
    const fields = fieldsOf(await this.run(['domjobinfo', uuid], options))
    if (fields.get('Job type') === 'None') return { kind: 'none' }
    if (fields.get('Operation') !== 'Backup') return { kind: 'other' }
    const raw = fieldsOf(await this.run(['domjobinfo', uuid, '--rawstats'], options))
    return { kind: 'backup', scratchBytes: Number(raw.get('disk_temp_used') ?? 0) }
  }

  /** The description of the backup that runs, or undefined when none does: the domain may be gone, too. */
  async backupXml(uuid: string, options: AbortOptions = {}): Promise<string | undefined> {
    try {
      return await orAbsent(this.run(['backup-dumpxml', uuid], options))
    } catch (error) {
      if (error instanceof GranaryError && /no domain backup job|not running/.test(error.message)) return undefined
      throw error
    }
  }

  /** Ends a pull-mode backup. That is how it succeeds, too. */
  async abortJob(uuid: string, options: AbortOptions = {}): Promise<void> {
    await this.run(['domjobabort', uuid], options)
  }
}

const fieldsOf = (text: string): Map<string, string> =>
  new Map(text.split('\n').flatMap(line => (line.includes(':') ? [splitField(line)] : [])))

const splitField = (line: string): [string, string] => {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
}

const orAbsent = async <Value>(answer: Promise<Value>): Promise<Value | undefined> => {
  try {
    return await answer
  } catch (error) {
    if (error instanceof GranaryError && error.code === 'GRANARY_NOT_FOUND') return undefined
    throw error
  }
}

const NO_DOMAIN = /failed to get domain|Domain not found/
const NO_DAEMON = /failed to connect to the hypervisor/
const REFUSED = /authentication failed|access denied|Permission denied/i

const libvirtError = (stderr: string, command: string): GranaryError => {
  const words = stderr
    .split('\n')
    .map(line => line.replace(/^error: /, '').trim())
    .filter(line => line !== '')
    .join('; ')
  const detail = { command }
  if (NO_DOMAIN.test(words)) return new GranaryError('GRANARY_NOT_FOUND', `libvirt: ${words}`, { detail })
  if (REFUSED.test(words))
    return new GranaryError('GRANARY_PERMISSION', `libvirt: ${words}`, {
      detail,
      hint: 'give the account that runs Granary access to libvirt: the authfile in the connection URI, or the ssh key',
    })
  if (NO_DAEMON.test(words))
    return new GranaryError('GRANARY_IO', `libvirt: ${words}`, {
      detail,
      retryable: true,
      hint: 'check that libvirtd runs on that host, and the connection URI',
    })
  return new GranaryError('GRANARY_REMOTE', `libvirt: ${words}`, { detail })
}
