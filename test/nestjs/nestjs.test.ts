import 'reflect-metadata'
import { type DynamicModule, type INestApplicationContext, Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Mailer } from 'threadpost'
import { InjectMailer, MAILER, ThreadpostModule } from 'threadpost/nestjs'
import { expect, it } from 'vitest'
import { MAIL } from '../support/api.js'
import { testInbox } from '../support/mailer.js'

/** The class that `@Module({ imports, providers })` decorates. */
function moduleOf(imports: DynamicModule[], providers: (new (...given: never[]) => unknown)[] = []) {
  class AppModule {
    readonly name = 'app'
  }
  Module({ imports, providers })(AppModule)
  return AppModule
}

class Greeter {
  constructor(readonly mailer: Mailer) {}
}
Injectable()(Greeter)
// `constructor(@InjectMailer() readonly mailer: Mailer)`
InjectMailer()(Greeter, undefined, 0)

/** Starts an application. Errors are thrown, and not logged before the process exits. */
function start(...given: Parameters<typeof moduleOf>): Promise<INestApplicationContext> {
  // NestJS declares its options as a class, and takes literals.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
  return NestFactory.createApplicationContext(moduleOf(...given), { logger: false, abortOnError: false })
}

const options = { from: 'Acme <hello@acme.example>', threads: 0 }

it('an application injects the mailer everywhere, and closes it when it shuts down', async () => {
  const inbox = await testInbox()
  const root = ThreadpostModule.forRoot({ ...options, transport: inbox.url })
  const inner = { module: moduleOf([], [Greeter]), exports: [Greeter] }
  const app = await start([root, inner])
  const { mailer } = app.get(Greeter, { strict: false })
  expect(mailer).toBe(app.get(MAILER))
  await mailer.send(MAIL)
  await app.close()
  // The mail that was due has been delivered.
  expect(inbox.count).toBe(1)
  await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'CLOSED' })
})

it('a factory gets providers of the modules that it imports, and its mailer may be for its importers only', async () => {
  const inbox = await testInbox()
  class Settings {
    readonly url = inbox.url
  }
  Injectable()(Settings)
  const settings = { module: moduleOf([], [Settings]), providers: [Settings], exports: [Settings] }
  const root = ThreadpostModule.forRootAsync({
    imports: [settings],
    inject: [Settings],
    useFactory: async ({ url }: Settings) => ({ ...options, transport: url }),
    global: false,
    deadline: 1_000,
  })
  const app = await start([root], [Greeter])
  expect((await app.get(Greeter).mailer.sendAndWait(MAIL)).status).toBe('sent')
  await app.close()

  const stranger = { module: moduleOf([], [Greeter]), providers: [Greeter] }
  const started = start([root, stranger])
  await expect(started).rejects.toThrow(/can't resolve dependencies of the Greeter/)
})

it('an application does not start with options that createMailer() refuses', async () => {
  const root = ThreadpostModule.forRoot({ transport: 'nonsense:' })
  const started = start([root])
  await expect(started).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
})
