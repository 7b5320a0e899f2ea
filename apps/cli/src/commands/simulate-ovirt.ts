import { readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'
import type * as Simulation from '@granary/ovirt-simulator'
import { isGiven, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { aborted } from '../serving/until-told.ts'

/** Loaded when it is asked for: nothing else needs an engine of its own. */
const loadSimulator = async (): Promise<typeof Simulation> => await import('@granary/ovirt-simulator')

const MAX_FAULTS_BYTES = 1024 * 1024

export const simulateOvirt: Command = {
  name: 'simulate ovirt',
  summary: 'run an oVirt engine with imageio that answers like the real ones, until it is told to end',
  options: [
    {
      flags: '--dir <DIR>',
      description: 'where its disks are kept while it runs (default: the temporary folder)',
      values: 'file',
    },
    { flags: '--profile <PROFILE>', description: 'platform and version, such as ovirt-4.5 (default) or zvirt-4.0' },
    {
      flags: '--cluster-level <LEVEL>',
      description: 'compatibility level of its cluster (default: the highest of the profile)',
    },
    {
      flags: '--faults <FILE>',
      description: 'JSON file of what is to go wrong (docs/ovirt-simulator.md)',
      values: 'file',
    },
    { flags: '--speed <N>', description: 'seconds that pass for it in one, 1 to 100000 (default: 1)' },
    { flags: '--port <PORT>', description: 'port of the engine on 127.0.0.1 (default: a free one)' },
    { flags: '--empty', description: 'leave out its two machines, web and db' },
  ],
  examples: [
    'granary simulate ovirt --profile ovirt-4.5 --speed 20',
    'granary simulate ovirt --dir /var/tmp/engine --faults faults.json --json',
  ],
  isService: true,
  async run(invocation) {
    const { terminal, signal } = invocation
    const { addDemoMachines, applyFaultPlan, createRealClock, createSimulator, parseFaultPlan, simulatorOptionsOf } =
      await loadSimulator()
    const faults = textOption(invocation, 'faults')
    const plan = faults === undefined ? undefined : parseFaultPlan(await readFaults(faults))
    const profile = textOption(invocation, 'profile')
    const clusterLevel = textOption(invocation, 'clusterLevel')
    const port = numberOption(invocation, 'port', 65_535)
    const speed = numberOption(invocation, 'speed', 100_000) ?? 1
    await using simulator = await createSimulator({
      dir: textOption(invocation, 'dir') ?? tmpdir(),
      clock: createRealClock({ speed }),
      ...(plan === undefined ? {} : simulatorOptionsOf(plan)),
      ...(profile === undefined ? {} : { profile }),
      ...(clusterLevel === undefined ? {} : { clusterLevel }),
      ...(port === undefined ? {} : { port }),
    })
    if (!isGiven(invocation, 'empty')) await addDemoMachines(simulator)
    if (plan !== undefined) await applyFaultPlan(simulator, plan)
    const caFile = join(simulator.folder, 'ca.pem')
    const passwordFile = join(simulator.folder, 'password')
    await writeFile(caFile, simulator.ca, { signal })
    await writeFile(passwordFile, `${simulator.credentials.password}\n`, { mode: 0o600, signal })
    const where = { url: simulator.url, caFile, user: simulator.credentials.username, passwordFile }
    terminal.emit({ type: 'simulating', v: 1, ...where, profile: simulator.profile.name })
    terminal.say(JSON.stringify(where))
    await aborted(signal)
    return 0
  },
}

/** @throws GranaryError when it cannot be read, or is larger than any such file */
const readFaults = async (path: string): Promise<string> => {
  try {
    const { size } = await stat(path)
    if (size > MAX_FAULTS_BYTES)
      throw new GranaryError('GRANARY_LIMIT', `${path} has ${size} bytes, more than ${MAX_FAULTS_BYTES}`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw fromSystemError(error, `reading ${path}`)
  }
}

const numberOption = (invocation: Invocation, name: string, max: number): number | undefined => {
  const text = textOption(invocation, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--${name} ${text}: expected a whole number from 1 to ${max}`)
}
