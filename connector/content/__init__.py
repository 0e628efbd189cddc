"""What is in files. Processes of their own open them, and what they say is believed no further than its words.

unpack.py       what is packed in winmail.dat       tnef.py       the process for it
inspection.py   encrypted? with macros?             insides.py    the process for it
confined.py     such a process: its time, its memory, its end
"""
