/** The texts of the page with which recipients unsubscribe. They name neither the address nor the sender: links are forwarded. */
export interface UnsubscribeTexts {
  language: string
  title: string
  question: string
  unsubscribe: string
  unsubscribed: string
  subscribe: string
  subscribed: string
}

const ENGLISH: UnsubscribeTexts = {
  language: 'en',
  title: 'Unsubscribe',
  question: 'Do you want to stop receiving these emails?',
  unsubscribe: 'Unsubscribe',
  unsubscribed: 'You have been unsubscribed and will receive no more of these emails.',
  subscribe: 'Subscribe again',
  subscribed: 'You are subscribed again.',
}

const TEXTS: readonly UnsubscribeTexts[] = [
  ENGLISH,
  {
    language: 'de',
    title: 'Abmelden',
    question: 'Möchten Sie diese E-Mails nicht mehr erhalten?',
    unsubscribe: 'Abmelden',
    unsubscribed: 'Sie sind abgemeldet und erhalten diese E-Mails nicht mehr.',
    subscribe: 'Wieder anmelden',
    subscribed: 'Sie sind wieder angemeldet.',
  },
  {
    language: 'fr',
    title: 'Se désabonner',
    question: 'Voulez-vous ne plus recevoir ces e-mails ?',
    unsubscribe: 'Se désabonner',
    unsubscribed: 'Vous êtes désabonné et ne recevrez plus ces e-mails.',
    subscribe: 'Se réabonner',
    subscribed: 'Vous êtes de nouveau abonné.',
  },
  {
    language: 'es',
    title: 'Cancelar la suscripción',
    question: '¿Quiere dejar de recibir estos correos?',
    unsubscribe: 'Cancelar la suscripción',
    unsubscribed: 'Su suscripción se ha cancelado y no recibirá más correos de este tipo.',
    subscribe: 'Suscribirse de nuevo',
    subscribed: 'Vuelve a estar suscrito.',
  },
  {
    language: 'it',
    title: 'Annulla iscrizione',
    question: 'Non vuoi più ricevere queste e-mail?',
    unsubscribe: 'Annulla iscrizione',
    unsubscribed: 'La tua iscrizione è stata annullata: non riceverai più queste e-mail.',
    subscribe: 'Iscriviti di nuovo',
    subscribed: 'Sei di nuovo iscritto.',
  },
  {
    language: 'nl',
    title: 'Afmelden',
    question: 'Wilt u deze e-mails niet meer ontvangen?',
    unsubscribe: 'Afmelden',
    unsubscribed: 'U bent afgemeld en ontvangt deze e-mails niet meer.',
    subscribe: 'Opnieuw aanmelden',
    subscribed: 'U bent weer aangemeld.',
  },
  {
    language: 'pt',
    title: 'Cancelar a subscrição',
    question: 'Deseja deixar de receber estes e-mails?',
    unsubscribe: 'Cancelar a subscrição',
    unsubscribed: 'A sua subscrição foi cancelada e não receberá mais estes e-mails.',
    subscribe: 'Subscrever de novo',
    subscribed: 'A sua subscrição está de novo ativa.',
  },
  {
    language: 'pl',
    title: 'Wypisz się',
    question: 'Czy nie chcesz już otrzymywać tych wiadomości?',
    unsubscribe: 'Wypisz się',
    unsubscribed: 'Wypisano Cię. Nie będziesz już otrzymywać tych wiadomości.',
    subscribe: 'Zapisz się ponownie',
    subscribed: 'Zapisano Cię ponownie.',
  },
]

/** The texts for a locale such as `fr-CA`; English for languages that are not translated. */
export function textsFor(locale: string | undefined): UnsubscribeTexts {
  const [language = ''] = (locale ?? '').toLowerCase().split(/[-_]/)
  return TEXTS.find((texts) => texts.language === language) ?? ENGLISH
}
