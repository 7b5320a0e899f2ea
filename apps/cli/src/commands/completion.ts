import { GranaryError } from '@granary/core'
import { textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { completionScript, shells } from '../completion.ts'
import type { Shell } from '../completion.ts'

export const completion: Command = {
  name: 'completion',
  summary: 'print the completion script of a shell',
  arguments: [{ name: '<SHELL>', description: 'bash, zsh or fish' }],
  examples: [
    'granary completion bash > /etc/bash_completion.d/granary',
    'granary completion fish > ~/.config/fish/completions/granary.fish',
  ],
  async run(invocation) {
    const shell = textArgument(invocation, 0)
    if (!shells.includes(shell as Shell))
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${shell}: expected bash, zsh or fish`)
    const { loadCommands } = await import('./index.ts') // The table names this command, too.
    invocation.terminal.streams.stdout.write(completionScript(shell as Shell, await loadCommands()))
    return 0
  },
}
