/**
 * The guest agent, as libvirt reaches it.
 *
 * @see qemu.git qga/qapi-schema.json
 * @module
 */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import type { Libvirt } from './libvirt.ts'

export interface GuestCommand {
  /** Full path of a program inside the guest. */
  readonly path: string
  readonly parameters?: readonly string[]
  readonly timeoutMs: number
}

export interface GuestCommandResult {
  readonly exitCode: number
  /** What it printed, both streams, at most some 48 KiB: more does not come through the agent. */
  readonly output: string
}

export interface GuestAgent {
  /** True when the agent answers. */
  answers(options?: AbortOptions): Promise<boolean>
  /** True while file systems are frozen. */
  isFrozen(options?: AbortOptions): Promise<boolean>
  thaw(options?: AbortOptions): Promise<void>
  /**
   * Runs a program in the guest and waits for it.
   *
   * @throws GranaryError `GRANARY_TIMEOUT` when it does not end in time (it goes on in the guest: the agent cannot stop it),
   * `GRANARY_PERMISSION` when the guest forbids it, `GRANARY_NOT_FOUND` when there is no such program, `GRANARY_IO` when no agent answers
   */
  execute(command: GuestCommand, options?: AbortOptions): Promise<GuestCommandResult>
}

/** The agent's own commands answer at once. */
const AGENT_TIMEOUT_S = 30
const POLL_MS = 100

interface ExecStatus {
  readonly exited: boolean
  readonly exitcode?: number
  readonly signal?: number
  readonly 'out-data'?: string
  readonly 'err-data'?: string
}

export const guestAgent = (libvirt: Libvirt, uuid: string, clock: Clock): GuestAgent => {
  const call = async <Answer>(
    execute: string,
    parameters: object | undefined,
    options: AbortOptions,
  ): Promise<Answer> => {
    const request = JSON.stringify({ execute, ...(parameters === undefined ? {} : { arguments: parameters }) })
    try {
      const answer = await libvirt.run(agentCommand(uuid, request), options)
      return (JSON.parse(answer) as { return: Answer }).return
    } catch (error) {
      throw error instanceof GranaryError ? agentError(error, execute) : error
    }
  }
  return {
    async answers(options = {}) {
      return await call('guest-ping', undefined, options).then(
        () => true,
        () => (options.signal?.throwIfAborted(), false),
      )
    },
    async isFrozen(options = {}) {
      return (await call<string>('guest-fsfreeze-status', undefined, options)) === 'frozen'
    },
    async thaw(options = {}) {
      await call('guest-fsfreeze-thaw', undefined, options)
    },
    async execute({ path, parameters = [], timeoutMs }, options = {}) {
      const begun = { path, arg: parameters, 'capture-output': true }
      const { pid } = await call<{ pid: number }>('guest-exec', begun, options)
      for (const endMs = clock.now() + timeoutMs; ; await clock.sleep(POLL_MS, options.signal)) {
        const status = await call<ExecStatus>('guest-exec-status', { pid }, options)
        if (status.exited) return resultOf(status)
        if (clock.now() < endMs) continue
        throw new GranaryError('GRANARY_TIMEOUT', `${path} did not end in the guest within ${timeoutMs / 1000} s`, {
          detail: { path, timeoutMs },
          hint: 'raise execution_script_timeout, or let the script put its work into the background',
        })
      }
    },
  }
}

/** Parameters of `virsh` for one command of the agent. */
export const agentCommand = (uuid: string, request: string, timeoutSeconds = AGENT_TIMEOUT_S): string[] => [
  'qemu-agent-command',
  uuid,
  '--timeout',
  String(timeoutSeconds),
  request,
]

const resultOf = (status: ExecStatus): GuestCommandResult => ({
  // As a shell has it: 128 and the signal's number.
  exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
  output: [status['out-data'], status['err-data']]
    .map(data => Buffer.from(data ?? '', 'base64').toString('utf8'))
    .join(''),
})

/** What the guest's administrator must change; never "switch SELinux off". */
const agentError = (error: GranaryError, command: string): GranaryError => {
  const words = error.message
  const options = { detail: { command }, cause: error }
  if (/has been disabled|has not been found|CommandNotFound/.test(words) && !words.includes('frozen state'))
    return new GranaryError('GRANARY_PERMISSION', `the guest agent does not allow ${command}: ${words}`, {
      ...options,
      hint: `allow ${command} in the guest: BLACKLIST_RPC, --block-rpcs or --allow-rpcs in /etc/sysconfig/qemu-ga`,
    })
  if (/Permission denied/.test(words))
    return new GranaryError('GRANARY_PERMISSION', `the guest refuses ${command}: ${words}`, {
      ...options,
      hint:
        command === 'guest-fsfreeze-freeze'
          ? 'in a guest with SELinux: setsebool -P virt_qemu_ga_read_nonsecurity_files on'
          : 'in a guest with SELinux: setsebool -P virt_qemu_ga_run_unconfined on, and give the script the type virt_qemu_ga_unconfined_exec_t',
    })
  if (/Failed to execute child process/.test(words))
    return new GranaryError('GRANARY_NOT_FOUND', `the guest could not start the program: ${words}`, options)
  if (/not responding|not connected/.test(words))
    return new GranaryError('GRANARY_IO', `the guest agent does not answer: ${words}`, {
      ...options,
      retryable: true,
      hint: 'install qemu-guest-agent in the guest and start it',
    })
  return error
}
