"""What the pages say, in each language. Words in braces are filled in by `connector.links.pages`."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from connector.rewrite.languages import Code


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The words of one language."""

    file_one: str
    file_many: str
    other_files: str
    sender: str
    sent: str
    until: str
    questions: str
    download: str
    download_all: str
    left_one: str
    left_many: str
    left_none: str
    #: A file whose kind its name does not tell.
    file: str
    lock_title: str
    lock_text: str
    lock_label: str
    lock_send: str
    lock_wrong: str
    lock_wait: str
    gone_title: str
    gone_text: str
    ended_title: str
    ended_text: str
    ended_ask: str
    limit_title: str
    limit_text: str
    busy_title: str
    busy_text: str
    broken_title: str
    broken_text: str
    login_title: str
    login_text: str
    extend_title: str
    extend_text: str
    extend_send: str
    release_title: str
    release_text: str
    release_days: str
    release_lock: str
    release_send: str
    released_title: str
    released_text: str
    released_link: str
    released_lock: str
    released_lock_text: str
    released_list: str
    released_until: str
    end: str
    back: str
    access: str
    privacy: str
    imprint: str
    #: With {day}, {month}, {year} and {time}.
    moment: str
    months: tuple[str, ...]


def moment(at: datetime, words: Words, timezone: str) -> str:
    """A time as people of this language write it."""
    local = at.astimezone(ZoneInfo(timezone))
    return words.moment.format(
        day=local.day, month=words.months[local.month - 1], year=local.year, time=f"{local:%H:%M} {local.tzname()}"
    )


WORDS: dict[Code, Words] = {
    "en": Words(
        file_one="A file for you",
        file_many="{count} files for you",
        other_files="More files of this message",
        sender="From",
        sent="Sent",
        until="Available until",
        questions="Questions",
        download="Download",
        download_all="Download all as one ZIP file ({size})",
        left_one="can be downloaded once more",
        left_many="can be downloaded {count} more times",
        left_none="cannot be downloaded any more",
        file="File",
        lock_title="A password, please",
        lock_text="These files are protected. You received the password apart from the link.",
        lock_label="Password",
        lock_send="Open",
        lock_wrong="That is not the password. Please try again.",
        lock_wait="There were too many wrong passwords. Please wait a quarter of an hour.",
        gone_title="There is nothing to open here",
        gone_text=(
            "The link is not complete, or it has ended. Links end when their time is over, or when whoever sent them"
            " takes them back."
        ),
        ended_title="This link of yours has ended",
        ended_text="It ended on {date}. The files are kept.",
        ended_ask="To have it opened again, tell this number to those who look after it: {id}",
        limit_title="These files cannot be downloaded any more",
        limit_text="They were downloaded as often as their sender allows.",
        busy_title="Please try again in a minute",
        busy_text="Just now there are more requests than are answered at the same time.",
        broken_title="The files cannot be reached just now",
        broken_text="The server that keeps them does not hand them out. Please try again later.",
        login_title="Please sign in",
        login_text="This link opens for people of the house, with their usual sign-in. You are not signed in.",
        extend_title="Let the link last",
        extend_text="It then opens so many days from today on, under the same address.",
        extend_send="Let it last",
        release_title="Let somebody outside open these files",
        release_text="You get a link of its own for these files. Whoever has it can open them until it ends.",
        release_days="How many days",
        release_lock="Ask for a password",
        release_send="Make a link",
        released_title="Your link",
        released_text="It is shown only this once: copy it now. It ends on {date}.",
        released_link="Link",
        released_lock="Password",
        released_lock_text="Tell the password in another way than the link, best by telephone.",
        released_list="What you let others open",
        released_until="until {date}",
        end="End now",
        back="Back to the files",
        access="For each access, its time and a shortened network address are kept.",
        privacy="Privacy",
        imprint="Imprint",
        moment="{day} {month} {year}, {time}",
        months=(
            *("January", "February", "March", "April", "May", "June"),
            *("July", "August", "September", "October", "November", "December"),
        ),
    ),
    "de": Words(
        file_one="Eine Datei für Sie",
        file_many="{count} Dateien für Sie",
        other_files="Weitere Dateien dieser Nachricht",
        sender="Von",
        sent="Gesendet",
        until="Verfügbar bis",
        questions="Fragen",
        download="Herunterladen",
        download_all="Alle als eine ZIP-Datei herunterladen ({size})",
        left_one="kann noch einmal heruntergeladen werden",
        left_many="kann noch {count}-mal heruntergeladen werden",
        left_none="kann nicht mehr heruntergeladen werden",
        file="Datei",
        lock_title="Bitte geben Sie das Passwort ein",
        lock_text="Diese Dateien sind geschützt. Das Passwort haben Sie getrennt vom Link erhalten.",
        lock_label="Passwort",
        lock_send="Öffnen",
        lock_wrong="Das ist nicht das Passwort. Bitte versuchen Sie es noch einmal.",
        lock_wait="Es gab zu viele falsche Passwörter. Bitte warten Sie eine Viertelstunde.",
        gone_title="Hier gibt es nichts zu öffnen",
        gone_text=(
            "Der Link ist unvollständig oder nicht mehr gültig. Links enden, wenn ihre Zeit abgelaufen ist oder wenn"
            " der Absender sie zurücknimmt."
        ),
        ended_title="Dieser Link von Ihnen ist abgelaufen",
        ended_text="Er endete am {date}. Die Dateien sind noch da.",
        ended_ask="Soll er wieder öffnen, nennen Sie der zuständigen Stelle diese Nummer: {id}",
        limit_title="Diese Dateien können nicht mehr heruntergeladen werden",
        limit_text="Sie wurden so oft heruntergeladen, wie der Absender es erlaubt.",
        busy_title="Bitte versuchen Sie es in einer Minute noch einmal",
        busy_text="Im Augenblick gibt es mehr Anfragen, als gleichzeitig beantwortet werden.",
        broken_title="Die Dateien sind im Augenblick nicht erreichbar",
        broken_text="Der Server, auf dem sie liegen, gibt sie nicht heraus. Bitte versuchen Sie es später noch einmal.",
        login_title="Bitte melden Sie sich an",
        login_text=(
            "Diesen Link öffnen Beschäftigte des Hauses mit ihrer üblichen Anmeldung. Sie sind nicht angemeldet."
        ),
        extend_title="Den Link länger öffnen lassen",
        extend_text="Er öffnet dann so viele Tage ab heute, unter derselben Adresse.",
        extend_send="Länger öffnen",
        release_title="Diese Dateien für jemanden außerhalb freigeben",
        release_text=(
            "Sie erhalten einen eigenen Link zu diesen Dateien. Wer ihn hat, kann sie öffnen, bis er abläuft."
        ),
        release_days="Wie viele Tage",
        release_lock="Nach einem Passwort fragen",
        release_send="Link erstellen",
        released_title="Ihr Link",
        released_text="Er wird nur dieses eine Mal gezeigt: Kopieren Sie ihn jetzt. Er endet am {date}.",
        released_link="Link",
        released_lock="Passwort",
        released_lock_text="Teilen Sie das Passwort auf einem anderen Weg mit als den Link, am besten am Telefon.",
        released_list="Was Sie freigegeben haben",
        released_until="bis {date}",
        end="Jetzt beenden",
        back="Zurück zu den Dateien",
        access="Zu jedem Zugriff werden der Zeitpunkt und eine gekürzte Netzadresse gespeichert.",
        privacy="Datenschutz",
        imprint="Impressum",
        moment="{day}. {month} {year}, {time}",
        months=(
            *("Januar", "Februar", "März", "April", "Mai", "Juni"),
            *("Juli", "August", "September", "Oktober", "November", "Dezember"),
        ),
    ),
    "fr": Words(
        file_one="Un fichier pour vous",
        file_many="{count} fichiers pour vous",
        other_files="Autres fichiers de ce message",
        sender="De",
        sent="Envoyé",
        until="Disponible jusqu’au",
        questions="Questions",
        download="Télécharger",
        download_all="Tout télécharger en un fichier ZIP ({size})",
        left_one="peut être téléchargé encore une fois",
        left_many="peut être téléchargé encore {count} fois",
        left_none="ne peut plus être téléchargé",
        file="Fichier",
        lock_title="Veuillez saisir le mot de passe",
        lock_text="Ces fichiers sont protégés. Vous avez reçu le mot de passe séparément du lien.",
        lock_label="Mot de passe",
        lock_send="Ouvrir",
        lock_wrong="Ce n’est pas le mot de passe. Veuillez réessayer.",
        lock_wait="Trop de mots de passe erronés. Veuillez patienter un quart d’heure.",
        gone_title="Il n’y a rien à ouvrir ici",
        gone_text=(
            "Le lien est incomplet ou n’est plus valable. Un lien prend fin à son échéance, ou lorsque l’expéditeur"
            " le retire."
        ),
        ended_title="Votre lien a expiré",
        ended_text="Il a pris fin le {date}. Les fichiers sont conservés.",
        ended_ask="Pour le faire rouvrir, indiquez ce numéro au service responsable : {id}",
        limit_title="Ces fichiers ne peuvent plus être téléchargés",
        limit_text="Ils ont été téléchargés autant de fois que l’expéditeur le permet.",
        busy_title="Veuillez réessayer dans une minute",
        busy_text="Il y a en ce moment plus de demandes qu’il n’en est traité à la fois.",
        broken_title="Les fichiers ne sont pas accessibles pour le moment",
        broken_text="Le serveur qui les conserve ne les délivre pas. Veuillez réessayer plus tard.",
        login_title="Veuillez vous connecter",
        login_text=("Ce lien s’ouvre pour le personnel, avec la connexion habituelle. Vous n’êtes pas connecté."),
        extend_title="Prolonger le lien",
        extend_text="Il s'ouvre alors pendant autant de jours à partir d'aujourd'hui, à la même adresse.",
        extend_send="Prolonger",
        release_title="Ouvrir ces fichiers à une personne extérieure",
        release_text=(
            "Vous obtenez un lien particulier vers ces fichiers. Quiconque l’a peut les ouvrir jusqu’à son échéance."
        ),
        release_days="Combien de jours",
        release_lock="Demander un mot de passe",
        release_send="Créer un lien",
        released_title="Votre lien",
        released_text="Il n’est affiché que cette fois : copiez-le maintenant. Il prend fin le {date}.",
        released_link="Lien",
        released_lock="Mot de passe",
        released_lock_text=("Communiquez le mot de passe par une autre voie que le lien, de préférence par téléphone."),
        released_list="Ce que vous avez ouvert à d’autres",
        released_until="jusqu’au {date}",
        end="Mettre fin maintenant",
        back="Retour aux fichiers",
        access="Pour chaque accès, l’heure et une adresse réseau abrégée sont conservées.",
        privacy="Protection des données",
        imprint="Mentions légales",
        moment="{day} {month} {year}, {time}",
        months=(
            *("janvier", "février", "mars", "avril", "mai", "juin"),
            *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
        ),
    ),
    "nl": Words(
        file_one="Een bestand voor u",
        file_many="{count} bestanden voor u",
        other_files="Andere bestanden van dit bericht",
        sender="Van",
        sent="Verzonden",
        until="Beschikbaar tot",
        questions="Vragen",
        download="Downloaden",
        download_all="Alles als één ZIP-bestand downloaden ({size})",
        left_one="kan nog één keer worden gedownload",
        left_many="kan nog {count} keer worden gedownload",
        left_none="kan niet meer worden gedownload",
        file="Bestand",
        lock_title="Het wachtwoord, alstublieft",
        lock_text="Deze bestanden zijn beveiligd. U hebt het wachtwoord apart van de link ontvangen.",
        lock_label="Wachtwoord",
        lock_send="Openen",
        lock_wrong="Dat is niet het wachtwoord. Probeer het nog eens.",
        lock_wait="Er waren te veel verkeerde wachtwoorden. Wacht een kwartier.",
        gone_title="Hier valt niets te openen",
        gone_text=(
            "De link is onvolledig of niet meer geldig. Links eindigen als hun tijd voorbij is, of als de afzender ze"
            " intrekt."
        ),
        ended_title="Deze link van u is verlopen",
        ended_text="Hij eindigde op {date}. De bestanden zijn er nog.",
        ended_ask="Moet hij weer openen, geef dit nummer dan door aan de beheerders: {id}",
        limit_title="Deze bestanden kunnen niet meer worden gedownload",
        limit_text="Ze zijn zo vaak gedownload als de afzender toestaat.",
        busy_title="Probeer het over een minuut nog eens",
        busy_text="Er zijn nu meer aanvragen dan er tegelijk worden beantwoord.",
        broken_title="De bestanden zijn nu niet bereikbaar",
        broken_text="De server die ze bewaart, geeft ze niet af. Probeer het later nog eens.",
        login_title="Meld u aan",
        login_text="Deze link opent voor medewerkers, met hun gewone aanmelding. U bent niet aangemeld.",
        extend_title="De link langer laten openen",
        extend_text="Hij opent dan zoveel dagen vanaf vandaag, op hetzelfde adres.",
        extend_send="Verlengen",
        release_title="Deze bestanden openstellen voor iemand buiten het huis",
        release_text="U krijgt een eigen link naar deze bestanden. Wie hem heeft, kan ze openen tot hij eindigt.",
        release_days="Hoeveel dagen",
        release_lock="Om een wachtwoord vragen",
        release_send="Link maken",
        released_title="Uw link",
        released_text="Hij wordt alleen deze ene keer getoond: kopieer hem nu. Hij eindigt op {date}.",
        released_link="Link",
        released_lock="Wachtwoord",
        released_lock_text="Geef het wachtwoord langs een andere weg door dan de link, het liefst per telefoon.",
        released_list="Wat u hebt opengesteld",
        released_until="tot {date}",
        end="Nu beëindigen",
        back="Terug naar de bestanden",
        access="Van elke toegang worden het tijdstip en een ingekort netwerkadres bewaard.",
        privacy="Privacy",
        imprint="Colofon",
        moment="{day} {month} {year}, {time}",
        months=(
            *("januari", "februari", "maart", "april", "mei", "juni"),
            *("juli", "augustus", "september", "oktober", "november", "december"),
        ),
    ),
}
