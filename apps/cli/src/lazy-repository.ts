/** A repository that is opened, and its code loaded, only when a stored disk is named. @module */
import type { Repository } from '@granary/dedup-store'
import type { Invocation } from './command.ts'

export interface LazyRepository extends AsyncDisposable {
  readonly open: () => Promise<Repository>
}

export const lazyRepository = (invocation: Invocation): LazyRepository => {
  let opened: Promise<Repository> | undefined
  const open = async (): Promise<Repository> => {
    const { openRepositoryOf } = await import('./open-repository.ts')
    return await openRepositoryOf(invocation)
  }
  return {
    open: async () => await (opened ??= open()),
    async [Symbol.asyncDispose]() {
      const repository = await opened?.catch(() => undefined)
      await repository?.[Symbol.asyncDispose]()
    },
  }
}
