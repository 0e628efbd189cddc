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
    login_again: str
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
        other_files="More files from this message",
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
        lock_title="Please enter the password",
        lock_text="These files are protected. You received the password separately from the link.",
        lock_label="Password",
        lock_send="Open",
        lock_wrong="The password is not right. Please try again.",
        lock_wait="There were too many wrong passwords. Please wait a quarter of an hour.",
        gone_title="There is nothing to open here",
        gone_text=(
            "The link is incomplete or no longer valid. Links end when their time is over, or when the sender withdraws"
            " them."
        ),
        ended_title="Your link has ended",
        ended_text="It ended on {date}. The files are still there.",
        ended_ask="To have it opened again, give this number to the people in charge: {id}",
        limit_title="These files cannot be downloaded any more",
        limit_text="They were downloaded as often as their sender allows.",
        busy_title="Please try again in a minute",
        busy_text="There are more requests at the moment than can be answered at once.",
        broken_title="The files cannot be reached at the moment",
        broken_text="The server that keeps them does not deliver them. Please try again later.",
        login_title="Please sign in",
        login_text="This link opens for staff, with their usual sign-in. You are not signed in.",
        login_again="Sign in and open the link",
        extend_title="Extend the link",
        extend_text="It then works for this number of days from today, at the same address.",
        extend_send="Extend",
        release_title="Share these files with someone outside",
        release_text="You get a separate link to these files. Anyone who has it can open them until it ends.",
        release_days="How many days",
        release_lock="Protect with a password",
        release_send="Create a link",
        released_title="Your link",
        released_text="It is shown only once: copy it now. It ends on {date}.",
        released_link="Link",
        released_lock="Password",
        released_lock_text="Pass on the password by another route than the link, preferably by phone.",
        released_list="What you have shared",
        released_until="until {date}",
        end="End now",
        back="Back to the files",
        access=(
            "For each access, the time and a shortened network address are kept; "
            "for people who sign in, their user name too."
        ),
        privacy="Privacy",
        imprint="Legal notice",
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
        lock_wrong="Das Passwort stimmt nicht. Bitte versuchen Sie es noch einmal.",
        lock_wait="Das Passwort war zu oft falsch. Bitte warten Sie eine Viertelstunde.",
        gone_title="Hier gibt es nichts zu öffnen",
        gone_text=(
            "Der Link ist unvollständig oder nicht mehr gültig. Links enden, wenn ihre Zeit abgelaufen ist oder wenn"
            " der Absender sie zurücknimmt."
        ),
        ended_title="Dieser Link von Ihnen ist abgelaufen",
        ended_text="Er endete am {date}. Die Dateien sind noch da.",
        ended_ask="Soll er wieder gelten, nennen Sie der zuständigen Stelle diese Nummer: {id}",
        limit_title="Diese Dateien können nicht mehr heruntergeladen werden",
        limit_text="Sie wurden so oft heruntergeladen, wie der Absender es erlaubt.",
        busy_title="Bitte versuchen Sie es in einer Minute noch einmal",
        busy_text="Im Augenblick gibt es mehr Anfragen, als gleichzeitig beantwortet werden können.",
        broken_title="Die Dateien sind im Augenblick nicht erreichbar",
        broken_text="Der Server, auf dem sie liegen, gibt sie nicht heraus. Bitte versuchen Sie es später noch einmal.",
        login_title="Bitte melden Sie sich an",
        login_text=(
            "Diesen Link öffnen Beschäftigte des Hauses mit ihrer üblichen Anmeldung. Sie sind nicht angemeldet."
        ),
        login_again="Anmelden und den Link öffnen",
        extend_title="Den Link verlängern",
        extend_text="Er gilt dann so viele Tage ab heute, unter derselben Adresse.",
        extend_send="Verlängern",
        release_title="Diese Dateien für jemanden außerhalb freigeben",
        release_text=(
            "Sie erhalten einen eigenen Link zu diesen Dateien. Wer ihn hat, kann sie öffnen, bis er abläuft."
        ),
        release_days="Wie viele Tage",
        release_lock="Mit einem Passwort schützen",
        release_send="Link erstellen",
        released_title="Ihr Link",
        released_text="Er wird nur dieses eine Mal angezeigt: Kopieren Sie ihn jetzt. Er endet am {date}.",
        released_link="Link",
        released_lock="Passwort",
        released_lock_text="Teilen Sie das Passwort auf einem anderen Weg mit als den Link, am besten am Telefon.",
        released_list="Was Sie freigegeben haben",
        released_until="bis {date}",
        end="Jetzt beenden",
        back="Zurück zu den Dateien",
        access=(
            "Zu jedem Zugriff werden der Zeitpunkt und eine gekürzte Netzadresse gespeichert, "
            "bei Anmeldung auch der Benutzername."
        ),
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
        lock_wait="Le mot de passe saisi était trop souvent erroné. Veuillez patienter un quart d’heure.",
        gone_title="Il n’y a rien à ouvrir ici",
        gone_text=(
            "Le lien est incomplet ou n’est plus valable. Un lien prend fin à son échéance, ou lorsque l’expéditeur"
            " le retire."
        ),
        ended_title="Votre lien a expiré",
        ended_text="Il a pris fin le {date}. Les fichiers sont conservés.",
        ended_ask="Pour le faire rouvrir, indiquez ce numéro au service responsable\u00a0: {id}",
        limit_title="Ces fichiers ne peuvent plus être téléchargés",
        limit_text="Ils ont été téléchargés autant de fois que l’expéditeur le permet.",
        busy_title="Veuillez réessayer dans une minute",
        busy_text="Il y a en ce moment plus de demandes qu’il n’est possible d’en traiter à la fois.",
        broken_title="Les fichiers ne sont pas accessibles pour le moment",
        broken_text="Le serveur qui les conserve ne les fournit pas. Veuillez réessayer plus tard.",
        login_title="Veuillez vous connecter",
        login_text=("Ce lien s’ouvre pour le personnel, avec la connexion habituelle. Vous n’êtes pas connecté."),
        login_again="Se connecter et ouvrir le lien",
        extend_title="Prolonger le lien",
        extend_text="Il sera alors valable ce nombre de jours à partir d’aujourd’hui, à la même adresse.",
        extend_send="Prolonger",
        release_title="Partager ces fichiers avec une personne extérieure",
        release_text=(
            "Vous obtenez un lien distinct vers ces fichiers. Toute personne qui l’a peut les ouvrir jusqu’à"
            " son échéance."
        ),
        release_days="Combien de jours",
        release_lock="Protéger par un mot de passe",
        release_send="Créer un lien",
        released_title="Votre lien",
        released_text="Il n’est affiché qu’une seule fois\u00a0: copiez-le maintenant. Il prend fin le {date}.",
        released_link="Lien",
        released_lock="Mot de passe",
        released_lock_text=("Communiquez le mot de passe par une autre voie que le lien, de préférence par téléphone."),
        released_list="Ce que vous avez partagé",
        released_until="jusqu’au {date}",
        end="Mettre fin maintenant",
        back="Retour aux fichiers",
        access=(
            "Pour chaque accès, l’heure et une adresse réseau tronquée sont conservées, "
            "ainsi que le nom d’utilisateur des personnes connectées."
        ),
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
        lock_title="Voer het wachtwoord in",
        lock_text="Deze bestanden zijn beveiligd. U hebt het wachtwoord apart van de link ontvangen.",
        lock_label="Wachtwoord",
        lock_send="Openen",
        lock_wrong="Het wachtwoord klopt niet. Probeer het nog eens.",
        lock_wait="Het wachtwoord was te vaak verkeerd. Wacht een kwartier.",
        gone_title="Hier valt niets te openen",
        gone_text=(
            "De link is onvolledig of niet meer geldig. Links eindigen als hun tijd voorbij is, of als de afzender ze"
            " intrekt."
        ),
        ended_title="Uw link is verlopen",
        ended_text="Hij is op {date} verlopen. De bestanden zijn er nog.",
        ended_ask="Wilt u dat hij weer werkt, geef dit nummer dan door aan de beheerders: {id}",
        limit_title="Deze bestanden kunnen niet meer worden gedownload",
        limit_text="Ze zijn zo vaak gedownload als de afzender toestaat.",
        busy_title="Probeer het over een minuut nog eens",
        busy_text="Er zijn nu meer aanvragen dan er tegelijk kunnen worden beantwoord.",
        broken_title="De bestanden zijn nu niet bereikbaar",
        broken_text="De server waarop ze staan, levert ze niet. Probeer het later nog eens.",
        login_title="Meld u aan",
        login_text="Deze link opent voor medewerkers, met hun gebruikelijke aanmelding. U bent niet aangemeld.",
        login_again="Aanmelden en de link openen",
        extend_title="De link verlengen",
        extend_text="Hij werkt dan zoveel dagen vanaf vandaag, op hetzelfde adres.",
        extend_send="Verlengen",
        release_title="Deze bestanden delen met iemand van buiten",
        release_text="U krijgt een eigen link naar deze bestanden. Wie hem heeft, kan ze openen tot hij verloopt.",
        release_days="Hoeveel dagen",
        release_lock="Met een wachtwoord beveiligen",
        release_send="Link maken",
        released_title="Uw link",
        released_text="Hij wordt maar één keer getoond: kopieer hem nu. Hij verloopt op {date}.",
        released_link="Link",
        released_lock="Wachtwoord",
        released_lock_text="Geef het wachtwoord langs een andere weg door dan de link, het liefst per telefoon.",
        released_list="Wat u hebt gedeeld",
        released_until="tot {date}",
        end="Nu beëindigen",
        back="Terug naar de bestanden",
        access=(
            "Van elke toegang worden het tijdstip en een ingekort netwerkadres bewaard, "
            "en van wie zich aanmeldt ook de gebruikersnaam."
        ),
        privacy="Privacy",
        imprint="Colofon",
        moment="{day} {month} {year}, {time}",
        months=(
            *("januari", "februari", "maart", "april", "mei", "juni"),
            *("juli", "augustus", "september", "oktober", "november", "december"),
        ),
    ),
}
