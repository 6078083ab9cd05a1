import 'reflect-metadata'
import { type DynamicModule, Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Mailer } from 'threadpost'
import { InjectMailer, MAILER, ThreadpostModule } from 'threadpost/nestjs'
import { expect, it } from 'vitest'
import { MAIL } from '../support/api.js'
import { testInbox } from '../support/mailer.js'

/** The class that `@Module({ imports, providers })` decorates. */
function moduleOf(imports: DynamicModule[], providers: (new (...given: never[]) => unknown)[] = []) {
  class AppModule {}
  Module({ imports, providers })(AppModule)
  return AppModule
}

class Greeter {
  constructor(readonly mailer: Mailer) {}
}
Injectable()(Greeter)
// `constructor(@InjectMailer() readonly mailer: Mailer)`
InjectMailer()(Greeter, undefined, 0)

const options = { from: 'Acme <hello@acme.example>', threads: 0 }

it('an application injects the mailer everywhere, and closes it when it shuts down', async () => {
  const inbox = await testInbox()
  const root = ThreadpostModule.forRoot({ ...options, transport: inbox.url })
  const inner = { module: moduleOf([], [Greeter]), exports: [Greeter] }
  const app = await NestFactory.createApplicationContext(moduleOf([root, inner]), { logger: false })
  const { mailer } = app.get(Greeter, { strict: false })
  expect(mailer).toBe(app.get(MAILER))
  await mailer.send(MAIL)
  await app.close()
  // What was due has been delivered.
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
  const app = await NestFactory.createApplicationContext(moduleOf([root], [Greeter]), { logger: false })
  expect((await app.get(Greeter).mailer.sendAndWait(MAIL)).status).toBe('sent')
  await app.close()

  const stranger = { module: moduleOf([], [Greeter]), providers: [Greeter] }
  const start = NestFactory.createApplicationContext(moduleOf([root, stranger]), {
    logger: false,
    abortOnError: false,
  })
  await expect(start).rejects.toThrow(/can't resolve dependencies of the Greeter/)
})

it('an application does not start with options that createMailer() refuses', async () => {
  const root = ThreadpostModule.forRoot({ transport: 'nonsense:' })
  const start = NestFactory.createApplicationContext(moduleOf([root]), { logger: false, abortOnError: false })
  await expect(start).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
})
