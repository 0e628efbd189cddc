"""What the people of a mailbox decide about their messages themselves: by a category or a folder in any mail client.

They may only tighten: what they ask for keeps attachments in messages, or brings them back.
"""

from pydantic import Field

from connector.model import Item, Message
from connector.policy.conditions import Model
from connector.policy.values import Name, WrittenFolder, fold


class Wish(Model):
    """How a message asks for something: by either of the two."""

    category: Name | None = Field(default=None, description="a category of Outlook that the message bears")
    folder: WrittenFolder | None = Field(
        default=None, description="a folder anywhere in the mailbox, with what is below it"
    )

    def of(self, item: Item) -> str:
        """By what the item asks for it, in the words of the policy; "" where it does not, as no shared file does."""
        if not isinstance(item, Message):
            return ""
        if self.category and fold(self.category) in map(fold, item.categories):
            return f"category {self.category}"
        if self.folder and f"/{fold(self.folder)}/" in f"/{fold(item.folder)}/":
            return f"folder {self.folder}"
        return ""


class People(Model):
    """What people are told."""

    passwords: bool = Field(
        default=True,
        description="whoever a message belongs to gets the password of its links by a letter",
    )
    digest: bool = Field(default=True, description="whoever a message belongs to reads once a day what is held")
