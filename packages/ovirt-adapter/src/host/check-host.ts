/** Whether disks can be read on hosts, as `backup_using_ovirt_api no` wants it, and what to do where they can't. @module */
import type { AbortOptions } from '@granary/core'
import type { HostPath } from '../backup/settings.ts'
import { findingOf } from '../check/finding.ts'
import type { Finding } from '../check/finding.ts'
import type { Engine } from '../engine/engine.ts'
import { listHosts } from '../engine/resources/places.ts'
import { expectShortPath } from './end-pull.ts'
import { reachHost } from './host-access.ts'
import type { HostAccessSettings } from './host-access.ts'
import { runProgram } from './run-program.ts'
import type { ProgramCommand } from './run-program.ts'
import { planScratchFolder } from './scratch.ts'

export type CheckHostSettings = HostAccessSettings & Pick<HostPath, 'scratchFolder' | 'scratchLimitBytes'>

const PROGRAMS: readonly ProgramCommand[] = [
  ['virsh', '--version'],
  ['flock', '--version'],
  ['qemu-img', '--version'],
]

/** Hosts that are out of reach are warnings: their machines are read through the engine. */
export async function* hostPathFindings(
  engine: Engine,
  settings: CheckHostSettings & AbortOptions,
): AsyncGenerator<Finding, void, undefined> {
  const { signal } = settings
  let own: string | undefined
  for (const { id, name, status } of await listHosts(engine, { signal })) {
    if (status !== 'up') continue
    const title = `libvirt on ${name}`
    const reach = await reachHost(engine, id, settings)
    if (reach === undefined) {
      yield { name: title, status: 'skipped', text: 'another host, and libvirt_ssh_user is not set' }
      continue
    }
    if (reach.isHere) own = name
    const where = reach.isHere ? 'here' : `as ${settings.libvirtSshUser} by ssh`
    try {
      await reach.libvirt.run(['list', '--name'], { signal })
      yield { name: title, status: 'ok', text: `it answers ${where}` }
    } catch (error) {
      const finding = findingOf(title, error, 'try: virsh -c URI list, as the account that runs Granary')
      yield reach.isHere ? finding : { ...finding, status: 'warning' }
    }
  }
  if (own === undefined) {
    const hint = 'run Granary on a host for backups past the API, or set backup_using_ovirt_api yes'
    const text = "it is no host of this engine: machines are read through the engine's backup API"
    yield { name: 'this machine', status: 'warning', text, hint }
    return
  }
  yield { name: 'this machine', status: 'ok', text: `it is the host ${own}` }
  yield await programsFinding({ signal })
  yield await scratchFinding(settings)
}

const programsFinding = async (options: AbortOptions): Promise<Finding> => {
  const name = 'programs'
  try {
    for (const program of PROGRAMS) await runProgram(program, options)
    return { name, status: 'ok', text: `${PROGRAMS.map(([program]) => program).join(', ')} are there` }
  } catch (error) {
    return findingOf(name, error)
  }
}

const scratchFinding = async ({ scratchFolder: folder, scratchLimitBytes }: CheckHostSettings): Promise<Finding> => {
  const name = 'scratch_folder'
  try {
    expectShortPath(await planScratchFolder({ folder, limitBytes: scratchLimitBytes }))
    return { name, status: 'ok', text: `there is room in ${folder}` }
  } catch (error) {
    return findingOf(name, error, 'make it, such that QEMU may write to it: see docs/ovirt-host-path.md')
  }
}
