/** Commands about write-only clients: machines that back up and can read nothing. @module */
import { addClient, listSigners, revoke } from '@granary/dedup-store'
import { writeSecretFile } from '@granary/transform'
import { textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { formatTime } from '../snapshot-output.ts'
import { formatTable } from '../terminal/table.ts'

const clientAdd: Command = {
  name: 'client add',
  summary: 'make a write-only client: it backs up, and can read no chunk, not even its own',
  arguments: [
    { name: '<NAME>', description: 'what to call it' },
    { name: '<FILE>', description: 'new file that the client opens the repository with; secret' },
  ],
  examples: [
    'granary client add web1 web1.client --key-file granary.key',
    'granary backup /dev/vg/web --client-file web1.client   # on web1, which has no other key',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const [name, path] = [textArgument(invocation, 0), textArgument(invocation, 1)]
    const { id, file } = await addClient(repository, name, { signal })
    await writeSecretFile(path, file).catch(async (error: unknown) => {
      await revoke(repository, id) // Nobody has its keys.
      throw error
    })
    terminal.emit({ type: 'client', v: 1, id, name, path })
    terminal.say(
      `made client ${name} (${id}); its file is ${path}: bring it to the client's machine, and keep no copy here`,
    )
    return 0
  },
}

const clientList: Command = {
  name: 'client list',
  summary: 'list write-only clients and other signers, revoked ones too',
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const signers = (await listSigners(repository, { signal })).toSorted((a, b) => a.timeMs - b.timeMs)
    for (const { id, kind, name, publicKey, timeMs, isRevoked } of signers)
      terminal.emit({
        type: 'client',
        v: 1,
        id,
        name,
        kind,
        publicKey,
        time: new Date(timeMs).toISOString(),
        revoked: isRevoked,
      })
    terminal.say(
      formatTable(
        ['ID', 'NAME', 'KIND', 'MADE (UTC)', 'STATE'],
        signers.map(({ id, kind, name, timeMs, isRevoked }) => [
          id,
          name,
          kind,
          formatTime(timeMs),
          isRevoked ? 'revoked' : 'active',
        ]),
      ),
    )
    return 0
  },
}

const clientRevoke: Command = {
  name: 'client revoke',
  summary: 'revoke a client: what it made until now stays good, what it makes from now on counts for nothing',
  arguments: [{ name: '<NAME>', description: 'name or id of the client' }],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = await openRepositoryOf(invocation)
    const { id, name, kind } = await revoke(repository, textArgument(invocation, 0), { signal })
    terminal.emit({ type: 'client', v: 1, id, name, kind, revoked: true })
    terminal.say(`revoked ${kind} ${name} (${id})`)
    terminal.say('it still knows names and layout of what is there: `granary key rotate` hides what comes from now on')
    return 0
  },
}

export const clientCommands: readonly Command[] = [clientAdd, clientList, clientRevoke]
