"""What `connector` does, to be measured: one verb, one step, or a whole tick."""

import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.config import Wording
from connector.ledger import Ledger
from connector.model import Action, Message
from connector.policy import Defaults, Policy, Rule
from connector.redirect import tick
from connector.service import clock
from connector.sources.ews import EwsMailbox, EwsMailboxes, folders
from connector.spool import spooled
from connector.stores.webdav import WebdavConfig, WebdavStore
from connector.turn import Watch
from tests.bench.measured import Meter
from tests.bench.world import World, letter
