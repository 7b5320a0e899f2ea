import type { Command } from '../command.ts'
import { textOption } from '../command.ts'
import { OVIRT_OPTIONS } from '../ovirt/ovirt-options.ts'
import { loadAdapter, openEngineOf, readConfigOf } from '../ovirt/open-ovirt.ts'
import { formatTable } from '../terminal/table.ts'

export const ovirtVms: Command = {
  name: 'ovirt vms',
  summary: 'list the machines of an engine',
  options: [
    { flags: '--search <TEXT>', description: "machines the engine finds, such as 'cluster=prod and status=up'" },
    ...OVIRT_OPTIONS,
  ],
  examples: ['granary ovirt vms --config /etc/granary/ovirt.toml', "granary ovirt vms --search 'name=web*' --json"],
  async run(invocation) {
    const { terminal, signal } = invocation
    const config = await readConfigOf(invocation)
    await using engine = await openEngineOf(invocation, config)
    const { listVmRows } = await loadAdapter()
    const search = textOption(invocation, 'search')
    const rows = await listVmRows(engine, { ...(search === undefined ? {} : { search }), signal })
    for (const row of rows) terminal.emit({ type: 'vm', v: 1, ...row })
    terminal.say(
      formatTable(
        ['NAME', 'STATUS', 'CLUSTER', 'HOST', 'ID'],
        rows.map(({ name, status, cluster, host, id }) => [name, status, cluster ?? '', host ?? '', id]),
      ),
    )
    terminal.say(`${rows.length} ${rows.length === 1 ? 'machine' : 'machines'}`)
    return terminal.warnings > 0 ? 3 : 0
  },
}
