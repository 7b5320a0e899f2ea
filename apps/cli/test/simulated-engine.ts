/** A simulated engine, and the configuration of a command that leads to it. @module */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimulator } from '@granary/ovirt-simulator'
import type { Simulator, SimulatorOptions } from '@granary/ovirt-simulator'
import type { Test } from 'tap'

/** An engine, and a configuration that leads to it. Commands wait by the clock of the machine: what takes time needs a real one. */
export const startEngine = async (
  test: Test,
  { lines = [], ...options }: Partial<SimulatorOptions> & { lines?: readonly string[] } = {},
): Promise<{ simulator: Simulator; config: string; folder: string }> => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-ovirt-'))
  const simulator = await createSimulator({ dir: join(folder, 'engine'), ...options })
  test.teardown(async () => {
    await simulator[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  await writeFile(join(folder, 'ca.pem'), simulator.ca)
  await writeFile(join(folder, 'password'), `${simulator.credentials.password}\n`, { mode: 0o600 })
  const config = join(folder, 'rb_module_ovirt.conf')
  const text = [
    `engine ${simulator.url}`,
    `username ${simulator.credentials.username}`,
    `password file:${join(folder, 'password')}`,
    `ca_info ${join(folder, 'ca.pem')}`,
    'timeout 5',
    'engine_outage_timeout 0',
    'backup_using_ovirt_api yes',
    `journal_folder ${join(folder, 'journal')}`,
    ...lines,
  ].join('\n')
  await writeFile(config, `${text}\n`, { mode: 0o600 })
  return { simulator, config, folder }
}
